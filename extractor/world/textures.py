"""What things are covered with: maps of 0 (its colour) to 1 (the shade of it)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from extractor.world.shapes import Floats, grid

TEXTURES = ("plain", "striped", "dotted", "checked")
_STRIPE, _DOT, _CHECK = 0.56, 0.66, 0.72  # radii from one to the next
_SOFT = 0.08  # radii over which one becomes the other


def _wave(x: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """-¼ … ¼ period: how far beyond the nearest edge of every other half period."""
    return np.asarray(np.abs((x / period + 0.25) % 1 - 0.5) * period - period / 4)


def _edge(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(0.5 + distance / _SOFT, 0, 1)


@cache
def shares(texture: str) -> Floats:
    """[CELLS · CELLS], as the maps of shapes."""
    x, y = grid()
    if texture == "striped":
        found = _edge(_wave(y, _STRIPE))
    elif texture == "dotted":
        dx, dy = (np.abs((each / _DOT) % 1 - 0.5) * _DOT for each in (x, y))
        found = _edge(0.3 * _DOT - np.sqrt(dx * dx + dy * dy))
    elif texture == "checked":
        a, b = _edge(_wave(x, _CHECK)), _edge(_wave(y, _CHECK))
        found = a + b - 2 * a * b
    else:
        found = np.zeros_like(x)
    return np.asarray(found, np.float32).ravel()
