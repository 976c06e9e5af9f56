"""A decoded picture to the square an encoder sees: colour, scale, rotation, crop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np
import torch
from av.sidedata.sidedata import SideData, SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from core.types import Look
from extractor.media.filtered import ScaleFilter
from extractor.media.tone import Transfer, mapped, transfer_of

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # height and width
Turn = tuple[int, int, int, int]  # a, b, c, d of FFmpeg's display matrix: x' = a x + c y, y' = b x + d y

UPRIGHT: Turn = (1, 0, 0, 1)
_NO_MEMORY = "can't allocate memory"  # as torch says it
_UNSPECIFIED = 2  # a colour tag that says nothing
_HD_WIDTH, _SD_LINES = 1280, 576  # from so wide or above so high, players take what names no matrix for HD
_MOST_ASPECT = 16  # of what is scaled; a thinner picture is cut to this first, or it would fill the memory
_SWSCALE = {  # by default it gives two columns one colour, of however few there are
    "bicubic": Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT,
    "bilinear": Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT,
}
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Whole:
    """All of one picture, neither turned nor cut to a square."""

    height: int  # as it is stored
    width: int
    turn: Turn
    scaled: Pixels  # as the encoder has it
    drawn: Callable[[Size], Pixels]  # makes it at least so high and wide

    def at_least(self, size: Size) -> Pixels:
        """So high and wide or larger, as cheaply as can be."""
        is_enough = self.scaled.shape[0] >= size[0] and self.scaled.shape[1] >= size[1]
        return self.scaled if is_enough else self.drawn(size)


class Lens:
    """A Look at pictures of one video; keeps the tables of its colour conversion."""

    def __init__(self, look: Look, sar: Fraction | None) -> None:
        self._look = look
        self._sar = stretch(sar) if look.sar else Fraction(1)
        self._reformatter, self._scaler = VideoReformatter(), VideoReformatter()
        self._filter = ScaleFilter(look.resize)
        self.run = look.run
        self.rotation = 0  # degrees clockwise of the latest picture
        self.transfer: Transfer = ""  # of the latest one that is HDR

    def __call__(self, frame: VideoFrame, also: Callable[[Whole], None] | None = None) -> Pixels:
        """uint8 [size, size, 3]. `also` sees all of the picture."""
        turn = display_turn(frame)
        self.rotation, transfer = degrees(turn), transfer_of(frame)
        self.transfer = transfer or self.transfer
        is_toned = bool(transfer) and self._look.hdr == "tonemap"
        if self._look.scale == "swscale" or self._look.fit == "ffmpeg" or is_toned:
            scaled, drawn = self._direct(frame, is_toned)
        else:
            scaled, drawn = self._by_way_of_rgb(frame, turn)
        if also is not None:
            also(Whole(*self._shape(frame), turn, scaled, drawn))
        upright = turned(scaled, turn)
        if self._look.fit == "squash":
            return np.ascontiguousarray(upright)
        cut = cropped if self._look.fit == "crop" else cropped_by_ffmpeg
        return np.ascontiguousarray(cut(upright, self._look.size))

    def _by_way_of_rgb(self, frame: VideoFrame, turn: Turn) -> _Made:
        """Colours first, at full size; then scaled by torch or Pillow."""
        rgb, size = (
            _middle(self._converted(self._reformatter, frame, "rgb24"), self._shape(frame)),
            self._size(frame),
        )
        if self._look.scale == "torch":
            with _out_of_memory():
                scaled = _by_torch(rgb, size, self._look.resize, turn)
            return scaled, lambda size: rgb
        upright = turned(rgb, turn)  # Pillow rounds likewise between its passes
        scaled = _by_pillow(upright, size[::-1] if turn[1] else size, self._look.resize)
        return turned(scaled, _back(turn)).copy(), lambda size: rgb

    def _direct(self, frame: VideoFrame, is_toned: bool) -> _Made:
        """Colours and scale at once, by swscale; a tone curve on what has few picture elements."""
        kind, source = "rgb48le" if is_toned else "rgb24", frame
        if self._shape(frame) != (frame.height, frame.width):
            full = self._converted(self._reformatter, frame, kind)
            source = VideoFrame.from_ndarray(np.ascontiguousarray(_middle(full, self._shape(frame))), kind)

        def drawn(size: Size) -> Pixels:
            found = self._converted(self._scaler, source, kind, size)
            return mapped(found, frame) if is_toned else found

        if self._look.fit == "ffmpeg":
            return self._filter(source, self._size(frame)), drawn
        return drawn(self._size(frame)), drawn

    def _shape(self, frame: VideoFrame) -> Size:
        """How much of a picture is scaled: all of it, but of what is cropped and very thin."""
        if self._look.fit == "squash":
            return frame.height, frame.width
        return trimmed(frame.height, frame.width, self._sar)

    def _size(self, frame: VideoFrame) -> Size:
        """What it is scaled to."""
        if self._look.fit == "squash":
            return self._look.size, self._look.size
        height, width = self._shape(frame)
        return fitted(height, width * self._sar, self._look.size)

    def _converted(
        self, reformatter: VideoReformatter, frame: VideoFrame, kind: str, size: Size | None = None
    ) -> NDArray[Any]:
        source: int | None = None
        is_hd = frame.width >= _HD_WIDTH or frame.height > _SD_LINES
        if self._look.untagged_hd == "709" and frame.colorspace == _UNSPECIFIED and is_hd:
            source = Colorspace.ITU709
        height, width = size or (frame.height, frame.width)
        way = _SWSCALE[self._look.resize] if size else None

        def convert(matrix: int | None) -> VideoFrame:
            return reformatter.reformat(
                frame, width, height, kind, src_colorspace=matrix, interpolation=way, threads=1
            )

        try:
            rgb = convert(source)
        except av.error.FFmpegError:  # a matrix that swscale has no tables for, as BT.2020 constant luminance
            rgb = convert(Colorspace.BT2020)
        plane = rgb.planes[0]
        depth = np.dtype(np.uint16 if kind == "rgb48le" else np.uint8)
        strides = (plane.line_size, 3 * depth.itemsize, depth.itemsize)
        return np.ndarray((rgb.height, rgb.width, 3), depth, memoryview(plane), strides=strides)


_Made = tuple[Pixels, Callable[[Size], Pixels]]  # a picture scaled, and how to make it larger


@contextmanager
def _out_of_memory() -> Iterator[None]:
    """Where torch finds no memory, that is Python's own error, as from everybody else."""
    try:
        yield
    except RuntimeError as error:
        if _NO_MEMORY not in str(error):
            raise
        raise MemoryError from error


def _by_torch(rgb: Pixels, size: Size, resize: str, turn: Turn) -> Pixels:
    """Channels last, and seen to be so by torch: the fast kernel, and nothing to put in order after it."""
    view = torch.from_numpy(rgb)[None].permute(0, 3, 1, 2)
    if turn[1]:  # torch begins with what lies across, and rounds behind it: here with what does for a viewer
        first = size[0], rgb.shape[1]
        view = torch.nn.functional.interpolate(view, first, mode=resize, antialias=True)
    scaled = torch.nn.functional.interpolate(view, size, mode=resize, antialias=True)
    found: Pixels = scaled[0].permute(1, 2, 0).numpy()
    return found


def _by_pillow(rgb: Pixels, size: Size, resize: str) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(image.resize(size[::-1], _RESAMPLING[resize]))


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


def cropped_by_ffmpeg(picture: Pixels, size: int) -> Pixels:
    """The same; offsets cut off as people write them for its filter `crop`."""
    height, width = picture.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return picture[top : top + size, left : left + size]


def display_turn(frame: VideoFrame) -> Turn:
    """How a player turns and mirrors the picture, to the nearest right angle."""
    try:
        # Not frame.side_data: the frame would keep that, which keeps the frame, and with it all of its
        # picture, until the collector comes by.
        kinds: Mapping[SideDataType, SideData] = SideDataContainer(frame)  # type: ignore[call-arg]
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


@lru_cache(maxsize=64)
def stretch(sar: Fraction | None) -> Fraction:
    """How much wider than tall a picture element is; within 1 % it is square."""
    if sar is None or sar <= 0 or abs(sar - 1) < Fraction(1, 100):
        return Fraction(1)
    return sar


def trimmed(height: int, width: int, sar: Fraction) -> Size:
    """How much of the middle of a picture is looked at, so that its larger side is no mountain."""
    return min(height, max(1, int(_MOST_ASPECT * width * sar))), min(
        width, max(1, int(_MOST_ASPECT * height / sar))
    )


def _middle(picture: NDArray[Any], size: Size) -> NDArray[Any]:
    top, left = ((side - wanted) // 2 for side, wanted in zip(picture.shape, size, strict=False))
    return picture[top : top + size[0], left : left + size[1]]


def _back(turn: Turn) -> Turn:
    """What undoes it."""
    a, b, c, d = turn
    return a, c, b, d
