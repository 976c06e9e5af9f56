"""Pictures scaled by FFmpeg's filter `scale`, as people call it by name: where a frame says where its colours
lie between its lines, the filter looks, and swscale alone does not."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

Size = tuple[int, int]  # height and width


class ScaleFilter:
    """One filter for all pictures that are alike; a fresh one where they change."""

    def __init__(self, resize: str) -> None:
        self._flags = resize
        self._graph: Graph | None = None
        self._for: tuple[Any, ...] = ()
        self._matrix = 0  # that it takes pictures to be of

    def __call__(self, frame: VideoFrame, size: Size) -> NDArray[np.uint8]:
        """uint8 [height, width, 3]."""
        said = int(frame.colorspace)
        wanted = (frame.width, frame.height, frame.format.name, said, frame.color_range, size)
        if wanted != self._for:
            self._graph, self._for, self._matrix = None, wanted, said
        try:
            frame.colorspace = self._matrix
            return self._begun(frame, size) if self._graph is None else _through(self._graph, frame)
        finally:
            frame.colorspace = said

    def _begun(self, frame: VideoFrame, size: Size) -> NDArray[np.uint8]:
        """The first picture of its kind."""
        try:
            graph = self._made(frame, size)
            found = _through(graph, frame)
        except av.error.FFmpegError:  # a matrix that it does not know is read as swscale alone would read it
            frame.colorspace = self._matrix = int(Colorspace.BT2020)
            graph = self._made(frame, size)
            found = _through(graph, frame)
        self._graph = graph
        return found

    def _made(self, frame: VideoFrame, size: Size) -> Graph:
        graph = Graph()
        graph.threads = 1
        said = {
            "video_size": f"{frame.width}x{frame.height}",
            "pix_fmt": frame.format.name,
            "time_base": "1/1",
            "colorspace": int(frame.colorspace),
            "range": int(frame.color_range),
        }
        graph.link_nodes(
            graph.add("buffer", ":".join(f"{name}={value}" for name, value in said.items())),
            graph.add("scale", f"{size[1]}:{size[0]}:flags={self._flags}"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ).configure()
        return graph


def _through(graph: Graph, frame: VideoFrame) -> NDArray[np.uint8]:
    graph.push(frame)
    scaled = graph.pull()
    assert isinstance(scaled, VideoFrame)
    found: NDArray[Any] = scaled.to_ndarray()
    return found
