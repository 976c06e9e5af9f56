"""Scenes by chance. What moves how is drawn apart from where it is, how large and how it is turned; things
stay apart and inside the picture whichever motions they have. So no single picture hints at a sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from extractor.world.chance import Chance
from extractor.world.grounds import DETAILED, GROUNDS, VARIANTS
from extractor.world.motions import HIDING, PANS
from extractor.world.scene import PANNED, SIZES, Scene, Thing, swept
from extractor.world.shapes import SHAPES, TURNS
from extractor.world.textures import TEXTURES
from extractor.world.unseen import COUNT_COLOURS, colours_of, motions_of

Split = Literal["train", "validation", "test", "sample"]  # of one seed, each has scenes of its own
_COUNTS = (1,) * 8 + (2,) * 6 + (3,) * 4 + (4,) * 3
_ALIKE = 0.25  # of scenes with several things: all of one shape and colour
_PANNED = 0.25  # of scenes with a ground on which it shows
_STILL = 0.3  # of things beside others
_PLAIN = 0.4
_GROUNDS, _SHAPES, _SIZES = tuple(GROUNDS), tuple(SHAPES), tuple(SIZES)
_REACHES = {1: (0.16, 0.45), 2: (0.14, 0.28), 3: (0.12, 0.16), 4: (0.12, 0.16)}
_CROWDED = (0.08, 0.11)  # of more than four
_QUARTERS = tuple((x / 2, y / 2) for x in range(2) for y in range(2))
_NINTHS = tuple((x / 3, y / 3) for x in range(3) for y in range(3))
_EDGE = 0.01  # of the picture, that stays free
_SLACK = 1.04  # radii of a size differ by so much

Spot = tuple[float, float, float, float]  # x, y, radius, reach


def scene(split: Split, seed: int, number: int, count: int | None = None) -> Scene:
    """The scene of that number, with so many things."""
    return drawn(Chance(split, seed, "scene", number), split == "train", count)


def drawn(chance: Chance, for_training: bool, count: int | None = None) -> Scene:
    """A scene; for training one without held-out pairs."""
    count = chance.one(_COUNTS) if count is None else count
    where = chance.one(_GROUNDS)
    looks = _looks(chance, where, count, for_training)
    colours = [colour for _, colour in looks]
    things = []
    for (shape, colour), (x, y, radius, reach) in zip(looks, spots(chance, count), strict=True):
        things.append(
            Thing(
                shape,
                colour,
                "plain" if chance.yes(_PLAIN) else chance.one(TEXTURES),
                radius,
                x,
                y,
                _motion(chance, _motions(shape, colours.count(colour), colour, for_training), count > 1),
                reach,
                turn=chance.between(-1, 1) * TURNS.get(shape, 0.0),
                phase=chance.between(0, 1),
            )
        )
    pan = chance.one(PANS) if where in DETAILED and chance.yes(_PANNED) else ""
    corner = tuple(round(chance.between(PANNED / 2, 0.6 - PANNED / 2), 3) for _ in range(2))
    return Scene(tuple(things), where, chance.below(VARIANTS), pan, (corner[0], corner[1]))


def _motions(shape: str, count: int, colour: str, for_training: bool) -> Sequence[str]:
    """Those that one of so many things of a colour may have: where it hides, one fewer is seen."""
    allowed = motions_of(shape, for_training)
    held = for_training and any((fewer, colour) in COUNT_COLOURS for fewer in range(2, count))
    return tuple(motion for motion in allowed if motion not in HIDING) if held else allowed


def _motion(chance: Chance, allowed: Sequence[str], has_others: bool) -> str:
    if has_others and "still" in allowed and chance.yes(_STILL):
        return "still"
    return chance.one(allowed)


def _looks(chance: Chance, where: str, count: int, for_training: bool) -> list[tuple[str, str]]:
    """Shapes and colours: all the same, or no two the same."""
    alike = count > len(_QUARTERS) or (count > 1 and chance.yes(_ALIKE))
    while True:
        shapes = [chance.one(_SHAPES) for _ in range(1 if alike else count)]
        looks = [(shape, chance.one(colours_of(shape, where, for_training))) for shape in shapes]
        looks = looks * count if alike else looks
        colours = [colour for _, colour in looks]
        held = for_training and any((colours.count(c), c) in COUNT_COLOURS for c in colours)
        if not held and (alike or len(set(looks)) == count):
            return looks


def spots(chance: Chance, count: int) -> list[Spot]:
    """Where so many things are, how large and how far they may come."""
    if count > 2:
        corners, span = (_QUARTERS, 1 / 2) if count <= len(_QUARTERS) else (_NINTHS, 1 / 3)
        return [_spot(chance, count, corner, span) for corner in chance.some(corners, count)]
    while True:
        found = [_spot(chance, count, (0.0, 0.0), 1.0) for _ in range(count)]
        if count < 2 or _apart(*found):
            return found


def _spot(chance: Chance, count: int, corner: tuple[float, float], span: float) -> Spot:
    """One, whose path has room in a square of the picture."""
    sizes = _SIZES if count < 3 else _SIZES[:2] if count <= len(_QUARTERS) else _SIZES[:1]
    radius = SIZES[chance.one(sizes)] * chance.between(1 / _SLACK, _SLACK)
    reach = chance.between(*_REACHES.get(count, _CROWDED))
    free = min(swept(radius, reach) + _EDGE, span / 2)
    x, y = (at + chance.between(free, span - free) for at in corner)
    return round(x, 4), round(y, 4), round(radius, 4), round(reach, 4)


def _apart(first: Spot, second: Spot) -> bool:
    dx, dy = first[0] - second[0], first[1] - second[1]
    return dx * dx + dy * dy > (swept(*first[2:]) + swept(*second[2:])) ** 2
