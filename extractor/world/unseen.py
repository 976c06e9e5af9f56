"""Pairs that no training scene shows, to tell later what was understood from what was learned by heart."""

from __future__ import annotations

from functools import cache

from extractor.world.colours import COLOURS, UNSEEN_ON
from extractor.world.motions import HIDING, KINDS, MOMENTS, MOTIONS
from extractor.world.scene import Scene, still
from extractor.world.shapes import SHAPES

_SHAPES, _COLOURS = list(SHAPES), list(COLOURS)
MOST_THINGS = 4

COLOUR_SHAPES = frozenset(  # 24 of 168
    (colour, shape)
    for c, colour in enumerate(_COLOURS)
    for s, shape in enumerate(_SHAPES)
    if (5 * c + 3 * s) % 7 == 0
)
SHAPE_MOTIONS = frozenset(  # with each motion what it is backwards, so that a shape never hints at a sense
    (shape, motion)
    for s, shape in enumerate(_SHAPES)
    for k, kind in enumerate(KINDS)
    for motion in kind
    if (2 * k + 5 * s + 1) % 9 == 0
)
COUNT_COLOURS = frozenset(  # 6 of 36: so many things of a colour
    (count, colour)
    for count in range(2, MOST_THINGS + 1)
    for c, colour in enumerate(_COLOURS)
    if (c - count) % 6 == 0
)


def unseen(scene: Scene) -> set[tuple[str | int, str]]:
    """The held-out pairs that a scene shows."""
    colours = [thing.colour for thing in scene.things]
    found: set[tuple[str | int, str]] = set()
    found |= {(t.colour, t.shape) for t in scene.things} & COLOUR_SHAPES
    found |= {(t.shape, t.motion) for t in scene.things} & SHAPE_MOTIONS
    found |= {(colours.count(colour), colour) for colour in colours} & COUNT_COLOURS
    return found


def ever_unseen(scene: Scene) -> set[tuple[str | int, str]]:
    """Those that it shows as a whole or at any moment, when some of its things are hidden."""
    found = unseen(scene)
    if any(thing.motion in HIDING for thing in scene.things):
        found = found.union(*(unseen(still(scene, part)) for part in MOMENTS))
    return found


@cache
def colours_of(shape: str, ground: str, for_training: bool) -> tuple[str, ...]:
    """Those that it may have upon a ground."""
    seen = [colour for colour in COLOURS if colour not in UNSEEN_ON[ground]]
    return tuple(c for c in seen if not (for_training and (c, shape) in COLOUR_SHAPES))


@cache
def motions_of(shape: str, for_training: bool) -> tuple[str, ...]:
    """Those that it may have."""
    return tuple(m for m in MOTIONS if not (for_training and (shape, m) in SHAPE_MOTIONS))
