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


@dataclass(frozen=True, slots=True)
class Labels:
    """Of n scenes."""

    shapes: Bits  # [n, shapes]: 1 where a thing has it
    colours: Bits
    motions: Bits
    places: Bits  # [n, CELLS · CELLS]: 1 where the middle of a path lies
    counts: NDArray[np.int64]  # [n]
    grounds: NDArray[np.int64]


def labels(scenes: Sequence[Scene]) -> Labels:
    """All of them."""
    shapes, colours, motions, places = (
        np.zeros((len(scenes), width), np.float32)
        for width in (len(_SHAPES), len(_COLOURS), len(_MOTIONS), CELLS * CELLS)
    )
    for i, scene in enumerate(scenes):
        for thing in scene.things:
            shapes[i, _SHAPES[thing.shape]] = 1
            colours[i, _COLOURS[thing.colour]] = 1
            places[i, int(thing.y * CELLS) * CELLS + int(thing.x * CELLS)] = 1
            if thing.motion:
                motions[i, _MOTIONS[thing.motion]] = 1
    counts = np.array([len(scene.things) for scene in scenes], np.int64)
    grounds = np.array([_GROUNDS[scene.ground] for scene in scenes], np.int64)
    return Labels(shapes, colours, motions, places, counts, grounds)
