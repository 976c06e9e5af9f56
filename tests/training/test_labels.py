"""What the renderer knows, as arrays."""

from __future__ import annotations

import numpy as np

from extractor.world.colours import COLOURS
from extractor.world.drawn import scene
from extractor.world.scene import still
from extractor.world.shapes import SHAPES
from training.labels import covered

CELLS = 8


def test_each_thing_has_the_cells_under_it_and_no_others() -> None:
    scenes = [still(scene("train", 0, number), 0.5) for number in range(60)]
    found = covered(scenes, CELLS)
    assert {len(rows) for rows in (found.cells, found.shapes, found.colours)} == {len(found.scenes)}
    held = {(i, thing.shape, thing.colour) for i, each in enumerate(scenes) for thing in each.things}
    shapes, colours = list(SHAPES), list(COLOURS)
    told = set()
    for i, cell, shape, colour in zip(found.scenes, found.cells, found.shapes, found.colours, strict=True):
        name = (int(i), shapes[shape], colours[colour])
        near = [
            np.hypot((cell % CELLS + 0.5) / CELLS - thing.x, (cell // CELLS + 0.5) / CELLS - thing.y)
            for thing in scenes[i].things
            if (thing.shape, thing.colour) == name[1:]
        ]
        assert min(near) <= max(0.2, 0.71 / CELLS)
        told.add(name)
    assert told == held


def test_a_larger_thing_has_more_cells_and_the_smallest_has_one() -> None:
    single = [still(scene("train", 1, number, count=1), 0.5) for number in range(200)]
    counts = np.bincount(covered(single, CELLS).scenes, minlength=200)
    radii = np.array([each.things[0].radius for each in single])
    assert counts.min() >= 1 and counts[radii > 0.157].mean() > 2 * counts[radii < 0.105].mean()


def test_where_nothing_is_nothing_is_told() -> None:
    assert len(covered([scene("train", 0, 0, count=0)], CELLS).scenes) == 0
