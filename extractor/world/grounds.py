"""What is behind things: ten grounds in some variants, larger than the picture so that a camera can pan."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.random import RandomState  # the one whose numbers are promised never to change
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_Plane = NDArray[np.float64]
_Paint = Callable[[RandomState, int, int], _Plane]  # side of the picture, size of the ground: [size, size, 3]

VARIANTS = 16
SCALE = 1.6  # of the picture's side
_RGB = tuple[float, float, float]


def _noise(random: RandomState, size: int, rows: int, columns: int) -> _Plane:
    """0 … 1: random heights at so many points, and straight between them."""
    heights = random.random_sample((rows + 1, columns + 1))
    y, x = ((np.arange(size) + 0.5) / size * count for count in (rows, columns))
    iy, ix = y.astype(int), x.astype(int)
    fy, fx = (y - iy)[:, None], (x - ix)[None]
    upper = heights[iy][:, ix] * (1 - fx) + heights[iy][:, ix + 1] * fx
    lower = heights[iy + 1][:, ix] * (1 - fx) + heights[iy + 1][:, ix + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def _between(share: _Plane, low: _RGB, high: _RGB) -> _Plane:
    return np.asarray(np.array(low) + share[..., None] * (np.array(high) - np.array(low)))


def _plain(colour: _RGB) -> _Paint:
    def paint(random: RandomState, side: int, size: int) -> _Plane:
        return _between(_noise(random, size, 3, 3), colour, (colour[0] + 6, colour[1] + 6, colour[2] + 6))

    return paint


def _grass(random: RandomState, side: int, size: int) -> _Plane:
    blades = _noise(random, size, 24, 60) * 0.6 + _noise(random, size, 6, 6) * 0.4
    return _between(blades, (34, 92, 22), (108, 176, 66))


def _water(random: RandomState, side: int, size: int) -> _Plane:
    waves = _noise(random, size, 40, 8) * 0.7 + _noise(random, size, 5, 3) * 0.3
    return _between(waves, (18, 76, 140), (92, 164, 214))


def _sand(random: RandomState, side: int, size: int) -> _Plane:
    grains = _noise(random, size, 70, 70) * 0.5 + _noise(random, size, 5, 5) * 0.5
    return _between(grains, (186, 158, 108), (232, 210, 164))


def _night(random: RandomState, side: int, size: int) -> _Plane:
    found = _between(_noise(random, size, 4, 4), (8, 10, 34), (22, 26, 62))
    y, x = np.mgrid[:size, :size] / side
    for sx, sy, bright in random.random_sample((70, 3)) * (SCALE, SCALE, 1.0):
        near = np.clip(1.4 - ((x - sx) ** 2 + (y - sy) ** 2) * 28_000, 0, 1)
        found += near[..., None] * (90 + 130 * bright)
    return found


def _bricks(random: RandomState, side: int, size: int) -> _Plane:
    y, x = (np.mgrid[:size, :size] + 0.5) / side
    row = (y / 0.1).astype(int)
    along = x / 0.22 + 0.5 * (row % 2)
    tone = random.random_sample((20, 20))[row % 20, along.astype(int) % 20]
    found = _between(tone, (140, 84, 60), (184, 112, 82))
    mortar = ((y / 0.1) % 1 < 0.16) | (along % 1 < 0.08)
    found[mortar] = (188, 180, 170)
    return found


def _graph(random: RandomState, side: int, size: int) -> _Plane:
    y, x = (np.mgrid[:size, :size] + 0.5) / side
    start = random.random_sample(2)
    lines = ((x / 0.125 + start[0]) % 1 < 0.13) | ((y / 0.125 + start[1]) % 1 < 0.13)
    return _between(lines.astype(float), (248, 248, 244), (150, 178, 212))


def _wood(random: RandomState, side: int, size: int) -> _Plane:
    grain = _noise(random, size, 3, 50) * 0.7 + _noise(random, size, 4, 4) * 0.3
    return _between(grain, (132, 88, 46), (192, 144, 90))


GROUNDS: dict[str, _Paint] = {
    "white": _plain((240, 240, 240)),
    "grey": _plain((124, 124, 124)),
    "dark": _plain((20, 20, 20)),
    "grass": _grass,
    "water": _water,
    "sand": _sand,
    "night": _night,
    "bricks": _bricks,
    "graph paper": _graph,
    "wood": _wood,
}
DETAILED = tuple(name for name in GROUNDS if name not in ("white", "grey", "dark"))  # on which a pan is seen


@lru_cache(maxsize=len(GROUNDS) * VARIANTS)
def ground(name: str, variant: int, side: int) -> Pixels:
    """One variant for pictures of a side: [SCALE · side, SCALE · side, 3]."""
    random = RandomState(1000 * list(GROUNDS).index(name) + variant)
    found = GROUNDS[name](random, side, round(SCALE * side))
    return np.asarray(np.clip(found + 0.5, 0, 255), np.uint8)
