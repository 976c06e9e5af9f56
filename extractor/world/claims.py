"""What can be said of a scene: all of it, or as much as people say."""

from __future__ import annotations

from dataclasses import replace

from extractor.world.chance import Chance
from extractor.world.query import Named, Query
from extractor.world.scene import Scene, Thing, relation

_FULL = 0.35  # of captions
_SOME = 0.3  # of the others name only some of the things
_ALONE = 0.06  # name only how many there are, and as often only the ground
_SHARES = (0.5, 0.8, 1.0)  # of its attributes, that a thing is named with


def named(thing: Thing) -> Named:
    """All of it."""
    return Named(thing.shape, thing.colour, thing.size, thing.texture, thing.motion, thing.place)


def full(scene: Scene, chance: Chance) -> Query:
    """Everything, in any order of things, with or without their number and how two of them lie."""
    things = chance.some(scene.things, len(scene.things))
    found = Query(tuple(map(named, things)), ground=scene.ground, pan=scene.pan)
    if len(things) != 1 and (not things or chance.yes(0.4)):
        found = replace(found, count=len(things))
    if len(things) > 1 and chance.yes(0.5):
        found = replace(found, relation=relation(things[0], things[1]))
    return found


def short(scene: Scene, chance: Chance) -> Query:
    """Some of it."""
    if not scene.things or chance.yes(_ALONE):
        return Query(ground=scene.ground, pan=scene.pan if chance.yes(0.5) else "")
    if chance.yes(_ALONE):
        return Query(count=len(scene.things), ground=scene.ground if chance.yes(0.5) else "")
    if _are_alike(scene) and chance.yes(0.6):
        return _alike(scene, chance)
    things = chance.some(scene.things, len(scene.things))
    if chance.yes(_SOME):
        things = things[: 1 + chance.below(len(things))]
    share = chance.one(_SHARES)
    found = Query(
        tuple(_dropped(named(thing), chance, share) for thing in things),
        ground=scene.ground if chance.yes(0.5) else "",
        pan=scene.pan if chance.yes(0.5) else "",
    )
    if len(things) > 1 and chance.yes(0.4):
        found = replace(found, relation=relation(things[0], things[1]))
    return found


def claim(scene: Scene, chance: Chance) -> Query:
    """Either."""
    return full(scene, chance) if chance.yes(_FULL) else short(scene, chance)


def least(scene: Scene, chance: Chance) -> Query:
    """What people type: a thing's colour and shape, with what it does or where it is."""
    if not scene.things:
        return Query(ground=scene.ground)
    thing = chance.one(scene.things)
    motion = thing.motion if chance.yes(0.6) else ""
    ground = scene.ground if chance.yes(0.5) else ""
    return Query((Named(thing.shape, thing.colour, motion=motion),), ground=ground)


def _are_alike(scene: Scene) -> bool:
    return len(scene.things) > 1 and len({(thing.shape, thing.colour) for thing in scene.things}) == 1


def _alike(scene: Scene, chance: Chance) -> Query:
    """So many of one kind."""
    first = scene.things[0]
    each = Named(first.shape, first.colour if chance.yes(0.8) else "")
    ground = scene.ground if chance.yes(0.5) else ""
    return Query((each,) * len(scene.things), no_more=True, ground=ground)


def _dropped(whole: Named, chance: Chance, share: float) -> Named:
    """With each attribute in that share of all cases, and never none."""
    kept = Named(
        whole.shape if chance.yes(share) else "",
        whole.colour if chance.yes(share) else "",
        whole.size if chance.yes(share / 2) else "",
        whole.texture if chance.yes(share / 2) else "",
        whole.motion if chance.yes(share) else "",
        whole.place if chance.yes(share / 2) else "",
    )
    return kept if kept.shape or kept.colour else replace(kept, shape=whole.shape)
