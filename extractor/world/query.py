"""What a sentence claims, and whether it is true of a scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extractor.world.scene import Relation, Scene, Thing, relation


@dataclass(frozen=True, slots=True)
class Named:
    """A thing, as far as it is described; what is empty may be anything."""

    shape: str = ""
    colour: str = ""
    size: str = ""
    texture: str = ""
    motion: str = ""
    place: str = ""

    def fits(self, thing: Thing) -> bool:
        """Whether it may be meant."""
        return (
            self.shape in ("", thing.shape)
            and self.colour in ("", thing.colour)
            and self.size in ("", thing.size)
            and self.texture in ("", thing.texture)
            and self.motion in ("", thing.motion)
            and self.place in ("", thing.place)
        )


@dataclass(frozen=True, slots=True)
class Query:
    """Things, each of them another one, and what else is claimed; what is empty may be anything."""

    things: tuple[Named, ...] = ()
    count: int | None = None  # of all things together
    no_more: bool = False  # things are all that there is like the first of them: “two red stars”
    ground: str = ""
    pan: str = ""
    relation: Relation | None = None  # of the first to the second


def satisfies(scene: Scene, query: Query) -> bool:
    """Whether all of it is true of the scene."""
    if query.count not in (None, len(scene.things)):
        return False
    if query.ground not in ("", scene.ground) or query.pan not in ("", scene.pan):
        return False
    if query.no_more and sum(map(query.things[0].fits, scene.things)) != len(query.things):
        return False
    for chosen in _meant(scene.things, query.things):
        if query.relation is None or relation(chosen[0], chosen[1]) == query.relation:
            return True
    return False


def _meant(things: Sequence[Thing], named: Sequence[Named]) -> Iterator[tuple[Thing, ...]]:
    """All ways to find another thing for each description."""
    if not named:
        yield ()
        return
    for number, thing in enumerate(things):
        if named[0].fits(thing):
            for rest in _meant((*things[:number], *things[number + 1 :]), named[1:]):
                yield (thing, *rest)


def satisfying(query: Query, scenes: Sequence[Scene]) -> list[int]:
    """The numbers of those that it is true of."""
    return [number for number, scene in enumerate(scenes) if satisfies(scene, query)]
