"""HDR to what a plain screen shows: PQ and HLG code values to light, a curve for what is too bright, sRGB."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

Transfer = Literal["", "pq", "hlg"]  # what of a picture's code values is not meant for a plain screen
Levels = NDArray[np.uint16]  # of 16 bits: 65535 is the brightest
_Light = NDArray[np.float32]

_TRANSFERS: dict[int, Transfer] = {ColorTrc.SMPTE2084.value: "pq", ColorTrc.ARIB_STD_B67.value: "hlg"}
_WHITE_NITS = 203.0  # of paper, by BT.2408: 1 in what follows
_PEAK_NITS = 1000.0  # becomes the brightest; what PQ has above it is cut
_HLG_GAMMA = 1.2  # between the camera's light and the screen's, at that peak
_STEPS = 4096
_FROM_BT2020 = np.array(  # the same light in BT.709's primaries, which are sRGB's
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    np.float32,
)
_LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)


def transfer_of(frame: VideoFrame) -> Transfer:
    """By the picture's own tag."""
    return _TRANSFERS.get(frame.color_trc, "")


def mapped(levels: Levels, frame: VideoFrame) -> NDArray[np.uint8]:
    """RGB of a PQ or HLG picture, of any size, as sRGB."""
    planes = np.ascontiguousarray(levels.transpose(2, 0, 1)).reshape(3, -1)
    light = _of_pq()[planes] if transfer_of(frame) == "pq" else _shown(_of_hlg()[planes])
    if frame.color_primaries != ColorPrimaries.BT709.value:
        light = np.einsum("ij,jn->in", _FROM_BT2020, light)
        np.maximum(light, 0, out=light)
    codes = np.sqrt(_dimmed(light), out=light)
    codes *= _STEPS - 1
    codes += 0.5
    found = _srgb()[codes.astype(np.uint16)].reshape(3, *levels.shape[:2])
    return np.ascontiguousarray(found.transpose(1, 2, 0))


def _dimmed(light: _Light) -> _Light:
    """Reinhard's curve on the greatest of the three, so that hues stay; the peak becomes 1."""
    most, peak = light.max(axis=0), _PEAK_NITS / _WHITE_NITS
    light *= (1 + most * np.float32(1 / peak**2)) / (1 + most)
    return np.minimum(light, 1, out=light)


def _shown(light: _Light) -> _Light:
    """HLG's light at the camera as its screen shows it (BT.2100's OOTF)."""
    luma = np.maximum(np.einsum("j,jn->n", _LUMA_BT2020, light), np.float32(1e-6))
    shown: _Light = light * (luma ** np.float32(_HLG_GAMMA - 1) * np.float32(_PEAK_NITS / _WHITE_NITS))
    return shown


@cache
def _of_pq() -> _Light:
    """SMPTE ST 2084, of every level."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    code = np.linspace(0, 1, 1 << 16) ** (1 / m2)
    nits = 10_000 * (np.maximum(code - c1, 0) / (c2 - c3 * code)) ** (1 / m1)
    return (np.minimum(nits, _PEAK_NITS) / _WHITE_NITS).astype(np.float32)


@cache
def _of_hlg() -> _Light:
    """ARIB STD-B67, of every level: 1 is the brightest that the camera saw."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.linspace(0, 1, 1 << 16)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


@cache
def _srgb() -> NDArray[np.uint8]:
    """sRGB's grey levels, by the root of the light."""
    light = np.linspace(0, 1, _STEPS) ** 2
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.rint(255 * code).astype(np.uint8)
    return levels
