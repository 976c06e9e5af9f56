"""Shapes as maps of distances: how far outside its edge a point is, in radii of the shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Point = tuple[float, float]
Distance = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

CELLS = 256  # of a map, each way
EXTENT = 1.25  # radii from the middle to each side of a map


def _round(number: float) -> float:
    return round(number, 9)  # what libraries of mathematics disagree about lies far behind


def _around(count: int, radii: Sequence[float] = (1.0,)) -> list[Point]:
    """Corners around the middle, the first at the top."""
    angles = [2 * math.pi * i / count - math.pi / 2 for i in range(count)]
    lengths = [radii[i % len(radii)] for i in range(count)]
    return [(_round(r * math.cos(a)), _round(r * math.sin(a))) for a, r in zip(angles, lengths, strict=True)]


def _length(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(x * x + y * y)


def _polygon(corners: Sequence[Point]) -> Distance:
    """To its nearest edge; below 0 inside."""

    def distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        nearest = np.full(x.shape, np.inf)
        inside = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
            ex, ey = bx - ax, by - ay
            along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
            nearest = np.minimum(nearest, _length(x - ax - along * ex, y - ay - along * ey))
            if ey != 0:
                inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / ey * ex)
        return np.where(inside, -nearest, nearest)

    return distance


def _heart() -> list[Point]:
    found = []
    for i in range(64):
        t = 2 * math.pi * i / 64
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        found.append((_round(x / 16.5), _round((-y - 2.5) / 16.5)))
    return found


def _oval() -> list[Point]:
    return [(x, _round(y * 0.55)) for x, y in _around(72)]


_CROSS = [(-0.3, -1.0), (0.3, -1.0), (0.3, -0.3), (1.0, -0.3), (1.0, 0.3), (0.3, 0.3)]
_CROSS += [(0.3, 1.0), (-0.3, 1.0), (-0.3, 0.3), (-1.0, 0.3), (-1.0, -0.3), (-0.3, -0.3)]
_ARROW = [(1.0, 0.0), (0.15, -0.75), (0.15, -0.28), (-1.0, -0.28), (-1.0, 0.28), (0.15, 0.28), (0.15, 0.75)]
_SQUARE = [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)]
_BAR = [(-1.0, -0.28), (1.0, -0.28), (1.0, 0.28), (-1.0, 0.28)]

SHAPES: dict[str, Distance] = {
    "circle": lambda x, y: _length(x, y) - 0.95,
    "square": _polygon(_SQUARE),
    "triangle": _polygon(_around(3)),
    "star": _polygon(_around(10, (1.0, 0.42))),
    "heart": _polygon(_heart()),
    "ring": lambda x, y: np.abs(_length(x, y) - 0.74) - 0.24,
    "cross": _polygon(_CROSS),
    "hexagon": _polygon(_around(6)),
    "diamond": _polygon([(0.0, -1.0), (0.6, 0.0), (0.0, 1.0), (-0.6, 0.0)]),
    "crescent": lambda x, y: np.maximum(_length(x, y) - 0.97, 0.8 - _length(x - 0.48, y)),
    "arrow": _polygon(_ARROW),
    "oval": _polygon(_oval()),
    "bar": _polygon(_BAR),
    "pentagon": _polygon(_around(5)),
}
TURNS: dict[str, float] = {  # degrees that each is turned by at most, either way: a square is no diamond
    "square": 15.0,
    "triangle": 20.0,
    "star": 36.0,
    "heart": 20.0,
    "cross": 15.0,
    "hexagon": 30.0,
    "diamond": 15.0,
    "crescent": 180.0,
    "arrow": 180.0,
    "oval": 180.0,
    "bar": 180.0,
    "pentagon": 20.0,
}


def grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The x and the y of a map's cells, in radii."""
    line = ((np.arange(CELLS) + 0.5) / CELLS * 2 - 1) * EXTENT
    return np.meshgrid(line, line)


@cache
def distances(shape: str) -> Floats:
    """[CELLS · CELLS], row after row; its border lies outside of every shape."""
    found: Floats = SHAPES[shape](*grid()).astype(np.float32).ravel()
    return found
