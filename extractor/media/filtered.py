"""Pictures scaled by FFmpeg's filter `scale`, as people call it by name: where a frame says where its colours
lie between its lines, the filter looks, and swscale alone does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Size = tuple[int, int]  # height and width


class Scale:
    """One filter for all pictures that are alike; a fresh one where they change."""

    def __init__(self, resize: str) -> None:
        self._flags = resize
        self._graph: Graph | None = None
        self._for: tuple[Any, ...] = ()

    def __call__(self, frame: VideoFrame, size: Size) -> NDArray[np.uint8]:
        """uint8 [height, width, 3]."""
        wanted = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range, size)
        if self._graph is None or wanted != self._for:
            self._graph, self._for = self._made(frame, size), wanted
        self._graph.push(frame)
        scaled = self._graph.pull()
        assert isinstance(scaled, VideoFrame)
        found: NDArray[Any] = scaled.to_ndarray()
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
