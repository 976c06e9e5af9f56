"""What the renderer knows of scenes, as arrays: for heads that are thrown away after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extractor.world.colours import COLOURS
from extractor.world.grounds import GROUNDS
from extractor.world.motions import MOTIONS
from extractor.world.scene import Scene
from extractor.world.shapes import SHAPES

CELLS = 4  # of the grid of places, each way
MOST_COUNT = 8
_SHAPES, _COLOURS, _GROUNDS, _MOTIONS = (
    {name: number for number, name in enumerate(table)} for table in (SHAPES, COLOURS, GROUNDS, MOTIONS)
)

Bits = NDArray[np.float32]


Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Things:
    """All that are in n scenes: of which scene, in which cell, and what."""

    scenes: Numbers
    cells: Numbers
    shapes: Numbers
    colours: Numbers


@dataclass(frozen=True, slots=True)
class Labels:
    """Of n scenes."""

    shapes: Bits  # [n, shapes]: 1 where a thing has it
    colours: Bits
    motions: Bits
    places: Bits  # [n, CELLS · CELLS]: 1 where the middle of a path lies
    things: Things
    counts: Numbers  # [n]
    grounds: Numbers


def labels(scenes: Sequence[Scene]) -> Labels:
    """All of them."""
    shapes, colours, motions, places = (
        np.zeros((len(scenes), width), np.float32)
        for width in (len(_SHAPES), len(_COLOURS), len(_MOTIONS), CELLS * CELLS)
    )
    rows: list[tuple[int, int, int, int]] = []
    for i, scene in enumerate(scenes):
        for thing in scene.things:
            cell = int(thing.y * CELLS) * CELLS + int(thing.x * CELLS)
            rows.append((i, cell, _SHAPES[thing.shape], _COLOURS[thing.colour]))
            if thing.motion:
                motions[i, _MOTIONS[thing.motion]] = 1
    things = Things(*np.array(rows, np.int64).reshape(-1, 4).T)
    shapes[things.scenes, things.shapes] = 1
    colours[things.scenes, things.colours] = 1
    places[things.scenes, things.cells] = 1
    counts = np.array([len(scene.things) for scene in scenes], np.int64)
    grounds = np.array([_GROUNDS[scene.ground] for scene in scenes], np.int64)
    return Labels(shapes, colours, motions, places, things, counts, grounds)


def covered(scenes: Sequence[Scene], cells: int) -> Things:
    """What lies under the cells of a finer grid: a thing for each cell that it covers, one at least."""
    middles = (np.arange(cells) + 0.5) / cells
    rows: list[tuple[int, int, int, int]] = []
    for i, scene in enumerate(scenes):
        for thing in scene.things:
            away = np.hypot(middles[None] - thing.x, middles[:, None] - thing.y)
            kind = _SHAPES[thing.shape], _COLOURS[thing.colour]
            reached = np.flatnonzero(away <= max(thing.radius, float(away.min())))
            rows += [(i, int(cell), *kind) for cell in reached]
    return Things(*np.array(rows, np.int64).reshape(-1, 4).T)
