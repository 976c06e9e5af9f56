"""Scenes that are alike in all but one attribute, with claims that differ in it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal, get_args

from extractor.world.chance import Chance
from extractor.world.colours import COLOURS, UNSEEN_ON
from extractor.world.drawn import Split, drawn, spots
from extractor.world.motions import DIRECTIONS, MOTIONS, TURNING
from extractor.world.query import Named, Query, satisfying
from extractor.world.scene import RELATIONS, Scene, Thing, relation
from extractor.world.shapes import SHAPES, TURNS
from extractor.world.unseen import ever_unseen

Attribute = Literal[
    "shape", "colour", "count", "direction", "motion", "turning", "relation", "swapped colours"
]
# Of these the first trainings learn; turning is one of the motions, and asked for once they are known.
ATTRIBUTES: tuple[Attribute, ...] = tuple(
    each for each in get_args(Attribute) if each != "turning"
)  # a motion
_OF_MOTION = ("direction", "motion", "turning")
BOUND: tuple[Attribute, ...] = ("relation", "swapped colours")  # alike in all words, but for their order
_DISTANCE = (0.19, 0.24)  # from the middle, of things whose relation matters


@dataclass(frozen=True, slots=True)
class Group:
    """Claim i is true of scene i and of no other one."""

    scenes: tuple[Scene, ...]
    claims: tuple[Query, ...]


def group(
    attribute: Attribute, split: Split, seed: int, number: int, size: int = 8, moving: bool = True
) -> Group:
    """So many scenes that differ in the attribute, or as many as there can be; for single pictures, of which
    no motion is known, not `moving`."""
    chance = Chance(split, seed, "group", attribute, number)
    for_training = split == "train"
    while True:
        scenes = list(_VARIANTS[attribute](chance, for_training, size))
        if not moving:
            scenes = [_resting(scene) for scene in scenes]
        if for_training:
            scenes = [scene for scene in scenes if not ever_unseen(scene)]
        scenes = chance.some(scenes, min(size, len(scenes)))
        claims = _claims(attribute, scenes, chance, moving)
        told_apart = all(satisfying(claim, scenes) == [i] for i, claim in enumerate(claims))
        if len(scenes) > 1 and told_apart:
            return Group(tuple(scenes), tuple(claims))


def _claims(attribute: Attribute, scenes: Sequence[Scene], chance: Chance, moving: bool) -> list[Query]:
    """What is told besides the attribute is told of all of them or of none."""
    has_motion = moving and (attribute in _OF_MOTION or chance.yes(0.3)) and attribute != "count"
    has_ground = chance.yes(0.4)
    found = []
    for scene in scenes:
        things = scene.things if attribute in ("count", "relation", "swapped colours") else scene.things[:1]
        named = tuple(Named(t.shape, t.colour, motion=t.motion if has_motion else "") for t in things)
        found.append(
            Query(
                named,
                no_more=attribute == "count",
                ground=scene.ground if has_ground else "",
                relation=relation(*things) if attribute == "relation" else None,
            )
        )
    return found


def _with(scene: Scene, **changes: str | float) -> Scene:
    """With its first thing changed."""
    first, *others = scene.things
    return replace(scene, things=(replace(first, **changes), *others))  # type: ignore[arg-type]


def _resting(scene: Scene) -> Scene:
    """As at a moment when nothing is hidden."""
    things = tuple(replace(thing, motion="", reach=0.0) for thing in scene.things)
    return replace(scene, things=things, pan="")


def _few(chance: Chance, for_training: bool) -> Scene:
    return drawn(chance, for_training, chance.one((1, 1, 2, 3)))


def _shapes(chance: Chance, for_training: bool, size: int) -> Iterator[Scene]:
    scene, turn = _few(chance, for_training), chance.between(-1, 1)
    return (_with(scene, shape=shape, turn=turn * TURNS.get(shape, 0.0)) for shape in SHAPES)


def _colours(chance: Chance, for_training: bool, size: int) -> Iterator[Scene]:
    scene = _few(chance, for_training)
    return (_with(scene, colour=colour) for colour in COLOURS if colour not in UNSEEN_ON[scene.ground])


def _moving(motions: Sequence[str]) -> Callable[[Chance, bool, int], Iterator[Scene]]:
    def variants(chance: Chance, for_training: bool, size: int) -> Iterator[Scene]:
        scene = _few(chance, for_training)
        return (_with(scene, motion=motion) for motion in motions)

    return variants


def _counts(chance: Chance, for_training: bool, size: int) -> Iterator[Scene]:
    """One to `size` of a kind, each picture with one more than the last; they rest, or all do the same."""
    scene = drawn(chance, for_training, 1)
    (first,) = scene.things
    motion = first.motion if first.motion in DIRECTIONS else "still"
    places = spots(chance, size)
    things = [
        replace(first, x=x, y=y, radius=radius, reach=reach, motion=motion) for x, y, radius, reach in places
    ]
    return (replace(scene, things=tuple(things[: i + 1])) for i in range(size))


def _relations(chance: Chance, for_training: bool, size: int) -> Iterator[Scene]:
    """Two things on opposite sides of the middle."""
    scene = drawn(chance, for_training, 2)
    far = chance.between(*_DISTANCE)
    for x, y in RELATIONS:
        reach = 0.6 * far if x and y else far
        at = ((0.5 - x * reach, 0.5 - y * reach), (0.5 + x * reach, 0.5 + y * reach))
        things = (_placed(thing, *spot) for thing, spot in zip(scene.things, at, strict=True))
        yield replace(scene, things=tuple(things))


def _placed(thing: Thing, x: float, y: float) -> Thing:
    return replace(thing, x=x, y=y, radius=min(thing.radius, 0.13), reach=0.1)


def _swapped(chance: Chance, for_training: bool, size: int) -> Iterator[Scene]:
    """The same colours among the same shapes."""
    scene = drawn(chance, for_training, 2 if size <= 2 else 3 if size <= 6 else 4)
    readable = [colour for colour in COLOURS if colour not in UNSEEN_ON[scene.ground]]
    shapes, colours = (chance.some(list(among), len(scene.things)) for among in (SHAPES, readable))
    things = [
        replace(thing, shape=shape, turn=0.0) for thing, shape in zip(scene.things, shapes, strict=True)
    ]
    for order in permutations(colours):
        painted = (replace(thing, colour=colour) for thing, colour in zip(things, order, strict=True))
        yield replace(scene, things=tuple(painted))


_VARIANTS: dict[Attribute, Callable[[Chance, bool, int], Iterator[Scene]]] = {
    "shape": _shapes,
    "colour": _colours,
    "count": _counts,
    "direction": _moving(tuple(DIRECTIONS)),
    "motion": _moving(MOTIONS),
    "turning": _moving(TURNING),
    "relation": _relations,
    "swapped colours": _swapped,
}
