"""Small pictures of a video, made from those that are wanted anyway: one a clip stride, 600 at most."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from PIL import Image

from core.types import Thumbs
from extractor.media.grid import exact
from extractor.media.picture import Pixels, Whole, turned

WIDTH, MOST_HEIGHT = 160, 320
MOST_TILES = 600
_QUALITY = 75
Take = Callable[[Whole], None]


class Strip:
    """Takes some of the pictures that pass by. Memory is that of 600 tiles, however long the video."""

    def __init__(self, stride_seconds: float, sar: Fraction) -> None:
        self._step, self._sar = exact(stride_seconds), sar
        self._held: list[tuple[Fraction, bytes]] = []

    def wants(self, t: Fraction) -> Take | None:
        """What to call with the picture of that time: the first one in each step is kept."""
        if self._held and t // self._step <= self._held[-1][0] // self._step:
            return None
        return lambda whole: self._take(t, whole)

    def _take(self, t: Fraction, whole: Whole) -> None:
        if len(self._held) >= MOST_TILES:
            self._thin_out()
            if t // self._step <= self._held[-1][0] // self._step:
                return
        self._held.append((t, jpeg(tile(whole, self._sar))))

    def _thin_out(self) -> None:
        """Steps of twice the length, as if they had been that long from the beginning."""
        self._step *= 2
        kept: dict[int, tuple[Fraction, bytes]] = {}
        for t, data in self._held:
            kept.setdefault(t // self._step, (t, data))
        self._held = list(kept.values())

    def thumbs(self) -> Thumbs:
        """What was taken."""
        return Thumbs(tuple(float(t) for t, _ in self._held), tuple(data for _, data in self._held))


def tile(whole: Whole, sar: Fraction) -> Pixels:
    """The picture as it is shown, small: never wider or higher than it is."""
    width, height = whole.width * sar, whole.height
    across, down = (height, width) if whole.turn[1] else (width, height)
    scale = min(Fraction(1), WIDTH / Fraction(across), MOST_HEIGHT / Fraction(down))
    wide, high = (max(1, round(side * scale)) for side in (width, height))
    view = torch.from_numpy(whole.at_least((high, wide)))[None].permute(0, 3, 1, 2)  # the fast kernel
    scaled = torch.nn.functional.interpolate(view, (high, wide), mode="bilinear", antialias=True)
    return np.ascontiguousarray(turned(scaled[0].permute(1, 2, 0).numpy(), whole.turn))


def jpeg(pixels: Pixels) -> bytes:
    """As a file of its own, with nothing in it but the picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
