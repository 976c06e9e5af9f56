"""The exact path from a decoded picture to what an encoder sees: whole numbers to light by the book, in
float64 and one step after the other, and Pillow to scale. Shares no code with what it judges."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

WEIGHTS = {  # of red and blue in luma, by the tag of H.273
    1: (0.2126, 0.0722),  # BT.709
    2: (0.299, 0.114),  # no tag: BT.601
    4: (0.299, 0.114),  # FCC, as FFmpeg takes it
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
_FULL = 2
_RGB = {"rgb24": (0, 1, 2), "rgba": (0, 1, 2), "bgra": (2, 1, 0), "bgr24": (2, 1, 0), "bgr0": (2, 1, 0)}


@dataclass(frozen=True)
class Sited:
    """Where FFmpeg takes samples of colour from; it depends on depth, tags and odd sizes."""

    down: float | None = None  # of a line, in samples, from the one that it shares; None: that one itself
    across: float = 0.0  # of a pair of elements


SITED = (Sited(), Sited(-0.25), Sited(-0.25, 0.25), Sited(0.0), Sited(0.0, 0.25))


def rgb_of(frame: VideoFrame, sited: Sited = SITED[0]) -> Picture:
    """RGB at full size, by its tags."""
    name = frame.format.name
    if name in _RGB:
        return plane_of(frame, 0, len(name.replace("0", "a")[:4].rstrip("24")))[..., _RGB[name]]  # type: ignore[return-value]
    if name == "gray":
        return np.repeat(plane_of(frame, 0, 1), 3, axis=2)
    bits = frame.format.components[0].bits
    luma, cb, cr = components(frame, sited)
    is_full = frame.color_range == _FULL or name.startswith("yuvj")
    unit = (1 << bits) - 1 if is_full else 219 << (bits - 8)
    y = luma / unit if is_full else (luma - (16 << (bits - 8))) / unit
    span = unit if is_full else 224 << (bits - 8)
    blue, red = ((c - (1 << (bits - 1))) / span for c in (cb, cr))
    kr, kb = WEIGHTS[frame.colorspace]
    r, b = y + 2 * (1 - kr) * red, y + 2 * (1 - kb) * blue
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return np.rint(np.clip(np.stack([r, g, b], axis=2), 0, 1) * 255).astype(np.uint8)


def components(frame: VideoFrame, sited: Sited) -> tuple[Floats, Floats, Floats]:
    """Y, Cb and Cr, each as high and wide as the picture."""
    name = frame.format.name
    deep = frame.format.components[0].bits > 8
    planes = [plane_of(frame, 0, 1, deep=deep)[..., 0]]
    if name.startswith("nv12"):
        both = plane_of(frame, 1, 2)
        planes += [both[..., 0], both[..., 1]]
    else:
        planes += [plane_of(frame, i, 1, deep=deep)[..., 0] for i in (1, 2)]
    y, cb, cr = (plane.astype(np.float64) for plane in planes)
    return y, _spread(cb, y, sited), _spread(cr, y, sited)


def _spread(chroma: Floats, luma: Floats, sited: Sited) -> Floats:
    """To the size of the luma."""
    (high, wide), (rows, columns) = luma.shape, chroma.shape
    if rows < high and sited.down is not None:
        chroma = _between(chroma, np.arange(high) * rows / (high + high % 2) + sited.down)
    elif rows < high:
        chroma = chroma.repeat(-(-high // rows), axis=0)[:high]
    if columns < wide:
        if sited.across:
            chroma = _between(chroma.T, np.arange(columns) + sited.across).T  # type: ignore[arg-type]
        chroma = chroma.repeat(-(-wide // columns), axis=1)[:, :wide]
    return chroma


def _between(lines: Floats, at: Floats) -> Floats:
    at = np.clip(at, 0, len(lines) - 1)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None]
    return lines[low] * (1 - share) + lines[np.minimum(low + 1, len(lines) - 1)] * share  # type: ignore[no-any-return]


def plane_of(frame: VideoFrame, index: int, channels: int, *, deep: bool = False) -> NDArray[np.integer]:
    """One plane as it lies in memory, without what fills its lines up."""
    plane = frame.planes[index]
    kind = np.dtype("<u2" if deep else "u1")
    lines = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    lines = lines.reshape(plane.height, plane.line_size)[:, : plane.width * channels * kind.itemsize]
    return np.ascontiguousarray(lines).view(kind).reshape(plane.height, plane.width, channels)


def shown(picture: Picture, frame: VideoFrame) -> tuple[Picture, bool]:
    """Each element where the display matrix puts it; and whether lines became columns."""
    a, b, c, d = _matrix(frame)
    down, across = np.indices(picture.shape[:2])
    x, y = a * across + c * down, b * across + d * down
    x, y = x - x.min(), y - y.min()
    found = np.empty((y.max() + 1, x.max() + 1, 3), np.uint8)
    found[y, x] = picture
    return found, a == 0


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    try:
        held = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    except ValueError:  # what PyAV does not know
        held = None
    if held is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (round(value / 65536) for value in np.frombuffer(memoryview(held), np.int32)[:5].tolist())
    return a, b, c, d


def square(picture: Picture, aspect: Fraction, size: int) -> Picture:
    """Pillow's bicubic, so that the shorter side is `size`; then the middle. `aspect`: of an element. Lines
    are scaled first and columns then, whatever is cheaper, as all versions of Pillow but the latest do."""
    height, width = picture.shape[:2]
    wide = width * aspect
    to = (size, int(size * height / wide)) if wide <= height else (int(size * wide / height), size)
    image = Image.fromarray(np.ascontiguousarray(picture))
    image = image.resize((to[0], height), Image.Resampling.BICUBIC).resize(to, Image.Resampling.BICUBIC)
    left, top = round((to[0] - size) / 2), round((to[1] - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def seen(frame: VideoFrame, sar: Fraction | None, size: int, rgb: Picture | None = None) -> Picture:
    """All of it; `rgb`: where the colours are somebody else's."""
    picture, is_turned = shown(rgb_of(frame) if rgb is None else rgb, frame)
    aspect = sar if sar and abs(sar - 1) >= Fraction(1, 100) else Fraction(1)
    return square(picture, 1 / aspect if is_turned else aspect, size)


def cosine(one: Picture, other: Picture) -> float:
    """Of the two as CLIP's models are given them."""
    mean, std = np.array([0.4815, 0.4578, 0.4082]), np.array([0.2686, 0.2613, 0.2758])
    a, b = (((p / 255 - mean) / std).ravel() for p in (one, other))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
