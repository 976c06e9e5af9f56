"""Decoded pictures as an encoder of plain H.264 takes them: upright, of square elements, not too large."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from extractor.media.picture import UPRIGHT, display_turn, stretch, turned
from extractor.media.tone import mapped, transfer_of

_UNTAGGED, _PAL, _NTSC = 2, 5, 6  # matrices as their tags have them; 5 and 6 are BT.601
_BT709, _LIMITED = 1, 1
_TONED_SIDE = 640  # a tone curve of a larger one takes far longer than its decoding
_BILINEAR = Interpolation.BILINEAR


class Canvas:
    """All pictures of one clip come out in the size of the first."""

    def __init__(self, first: VideoFrame, sar: Fraction | None, most_side: int) -> None:
        turn = display_turn(first)
        self._is_toned = transfer_of(first) == "pq"  # HLG is made to be looked at as it is
        most = min(most_side, _TONED_SIDE) if self._is_toned else most_side
        wide, high = first.width * stretch(sar), Fraction(first.height)
        scale = min(Fraction(1), most / wide, most / high)
        self._size = _even(wide * scale), _even(high * scale)  # before it is turned
        self.width, self.height = self._size[::-1] if turn[1] else self._size
        self._matrix = first.colorspace if first.colorspace in (_BT709, _PAL, _NTSC) else _BT709
        if first.colorspace == _UNTAGGED and not self._is_toned:
            self._matrix = _PAL  # as everything else here takes it
        if self._is_toned or turn != UPRIGHT:
            self._matrix = _BT709
        self._reformatter, self._second = VideoReformatter(), VideoReformatter()

    def tag(self, codec: VideoCodecContext) -> None:
        """Say in the stream what its numbers mean."""
        codec.colorspace, codec.color_range = self._matrix, _LIMITED
        codec.color_primaries = codec.color_trc = _BT709

    def paint(self, frame: VideoFrame) -> VideoFrame:
        """A picture of the clip."""
        turn = display_turn(frame)
        if turn == UPRIGHT and not self._is_toned:
            return self._converted(self._reformatter, frame, "yuv420p")
        rgb = _pixels(self._converted(self._reformatter, frame, "rgb48le" if self._is_toned else "rgb24"))
        upright = np.ascontiguousarray(turned(mapped(rgb, frame) if self._is_toned else rgb, turn))
        return self._converted(
            self._second, VideoFrame.from_ndarray(upright, "rgb24"), "yuv420p", self.width, self.height
        )

    def _converted(
        self, reformatter: VideoReformatter, frame: VideoFrame, kind: str, width: int = 0, height: int = 0
    ) -> VideoFrame:
        is_coded = kind == "yuv420p"

        def convert(matrix: int | None) -> VideoFrame:
            return reformatter.reformat(
                frame,
                width or self._size[0],
                height or self._size[1],
                kind,
                src_colorspace=matrix,
                dst_colorspace=self._matrix if is_coded else None,
                dst_color_range=ColorRange.MPEG if is_coded else None,
                interpolation=_BILINEAR,
                threads=1,
            )

        is_untagged = frame.colorspace == _UNTAGGED and not frame.format.is_rgb
        try:
            return convert(Colorspace.ITU601 if is_untagged else None)
        except av.error.FFmpegError:  # a matrix that swscale has no tables for
            return convert(Colorspace.BT2020)


def _pixels(frame: VideoFrame) -> NDArray[Any]:
    plane = frame.planes[0]
    depth = np.dtype(np.uint16 if frame.format.name == "rgb48le" else np.uint8)
    strides = (plane.line_size, 3 * depth.itemsize, depth.itemsize)
    return np.ndarray((frame.height, frame.width, 3), depth, memoryview(plane), strides=strides)


def _even(side: Fraction) -> int:
    """H.264 of this kind has no odd sides."""
    return max(2, 2 * round(side / 2))
