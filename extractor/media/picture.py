"""A decoded picture to the square an encoder sees: colour, scale, rotation, crop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import av
import numpy as np
import torch
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from core.errors import UsageError
from core.types import Look

Pixels = NDArray[np.uint8]
Turn = tuple[int, int, int, int]  # a, b, c, d of FFmpeg's display matrix: x' = a x + c y, y' = b x + d y

UPRIGHT: Turn = (1, 0, 0, 1)
_UNSPECIFIED = 2  # a colour tag that says nothing
_HD_LINES = 720
_MOST_ASPECT = 16  # of what is scaled; a thinner picture is cut to this first, or it would fill the memory
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class Lens:
    """A Look at pictures of one video; keeps the tables of its colour conversion."""

    def __init__(self, look: Look, sar: Fraction | None) -> None:
        if look.scale == "swscale":
            raise UsageError("scale 'swscale' does not work yet; 'torch' and 'pillow' do.")
        if look.hdr != "none":
            raise UsageError(f"hdr {look.hdr!r} does not work yet; only 'none' does.")
        self._look = look
        self._sar = stretch(sar) if look.sar else Fraction(1)
        self._reformatter = VideoReformatter()
        self.rotation = 0  # degrees clockwise of the latest picture

    def __call__(self, frame: VideoFrame, also: Callable[[Pixels, Turn], None] | None = None) -> Pixels:
        """uint8 [size, size, 3]. `also` sees the full-size picture, not yet turned."""
        turn = display_turn(frame)
        self.rotation = degrees(turn)
        rgb, sar = self._rgb(frame), self._sar
        if also is not None:
            also(rgb, turn)
        if self._look.scale == "pillow":  # it rounds between its passes: in the order that a viewer has
            rgb, sar, turn = turned(rgb, turn), 1 / sar if turn[1] else sar, UPRIGHT
        if self._look.fit == "squash":
            return np.ascontiguousarray(turned(self._scaled(rgb, (self._look.size, self._look.size)), turn))
        rgb = trimmed(rgb, sar)
        height, width = rgb.shape[:2]
        scaled = self._scaled(rgb, fitted(height, width * sar, self._look.size))
        return np.ascontiguousarray(cropped(turned(scaled, turn), self._look.size))

    def _rgb(self, frame: VideoFrame) -> Pixels:
        """Full-size RGB by the frame's own colour tags; a view of the frame's memory."""
        source: int | None = None
        if self._look.untagged_hd == "709" and frame.colorspace == _UNSPECIFIED and frame.height >= _HD_LINES:
            source = Colorspace.ITU709
        try:
            rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=source, threads=1)
        except av.error.FFmpegError:  # a matrix that swscale has no tables for, as BT.2020 constant luminance
            rgb = self._reformatter.reformat(
                frame, format="rgb24", src_colorspace=Colorspace.BT2020, threads=1
            )
        plane = rgb.planes[0]
        shape, strides = (rgb.height, rgb.width, 3), (plane.line_size, 3, 1)
        return np.ndarray(shape, np.uint8, memoryview(plane), strides=strides)

    def _scaled(self, rgb: Pixels, size: tuple[int, int]) -> Pixels:
        if self._look.scale == "pillow":
            image = Image.fromarray(np.ascontiguousarray(rgb))
            return np.asarray(image.resize(size[::-1], _RESAMPLING[self._look.resize]))
        view = torch.from_numpy(rgb).permute(2, 0, 1)[None]  # channels last: the fast kernel
        scaled = torch.nn.functional.interpolate(view, size, mode=self._look.resize, antialias=True)
        found: Pixels = scaled[0].permute(1, 2, 0).numpy()
        return found


def fitted(height: int, width: int | Fraction, size: int) -> tuple[int, int]:
    """Height and width when the shorter side becomes `size`, in open_clip's integers."""
    if width <= height:
        return int(size * height / width), size
    return size, int(size * width / height)


def cropped(picture: Pixels, size: int) -> Pixels:
    """The middle square; offsets rounded as torchvision does."""
    height, width = picture.shape[:2]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return picture[top : top + size, left : left + size]


def display_turn(frame: VideoFrame) -> Turn:
    """How a player turns and mirrors the picture, to the nearest right angle."""
    try:
        kinds: Mapping[SideDataType, SideData] = frame.side_data  # type: ignore[assignment]  # as it is
        data = kinds.get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # PyAV stumbles over kinds of side data that it does not know
        return _from_angle(frame.rotation)
    if data is None:
        return UPRIGHT
    a, b, _, c, d = (int(v) for v in np.frombuffer(memoryview(data), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)


def _from_angle(counterclockwise: int) -> Turn:
    """The same without mirroring, which an angle cannot tell."""
    return {0: UPRIGHT, 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}[
        round(counterclockwise / 90) % 4
    ]


def degrees(turn: Turn) -> int:
    """How far a player turns the picture clockwise; mirroring aside."""
    return {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[turn[:2]]


def turned(picture: Pixels, turn: Turn) -> Pixels:
    """The picture as it is shown."""
    a, b, c, d = turn
    if b:  # rows become columns
        picture = picture.transpose(1, 0, 2)
    return picture[:: b + d, :: a + c]


def stretch(sar: Fraction | None) -> Fraction:
    """How much wider than tall a picture element is; within 1 % it is square."""
    if sar is None or sar <= 0 or abs(sar - 1) < Fraction(1, 100):
        return Fraction(1)
    return sar


def trimmed(rgb: Pixels, sar: Fraction) -> Pixels:
    """The middle of a picture that is thinner than anything real; of any other the whole."""
    height, width = rgb.shape[:2]
    most_high = max(1, int(_MOST_ASPECT * width * sar))
    most_wide = max(1, int(_MOST_ASPECT * height / sar))
    top, left = max(0, height - most_high) // 2, max(0, width - most_wide) // 2
    return rgb[top : top + most_high, left : left + most_wide]
