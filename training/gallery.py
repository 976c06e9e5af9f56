"""What encoders are measured on: scenes with texts that are true of one of them and of no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from extractor.world.chance import Chance
from extractor.world.claims import full
from extractor.world.drawn import Split, drawn
from extractor.world.grammar import sentence
from extractor.world.query import Query, satisfies
from extractor.world.scene import Scene, still
from training.groups import ATTRIBUTES, BOUND, Attribute, Group, group

HARD: tuple[Attribute, ...] = tuple(attribute for attribute in ATTRIBUTES if attribute != "motion")
STILL: tuple[Attribute, ...] = tuple(attribute for attribute in HARD if attribute != "direction")
BINDING: tuple[Attribute, ...] = (*STILL, *BOUND, *BOUND)  # these three times


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene, and the full text that only it satisfies."""

    scene: Scene
    claim: Query
    text: str


def gallery(split: Split, seed: int, size: int = 1000, count: int | None = None) -> list[Shown]:
    """Clips, with captions that tell how things move."""
    return _distinct(Chance(split, seed, "gallery"), split, size, lambda scene: scene, count)


def resting_gallery(split: Split, seed: int, size: int = 1000) -> list[Shown]:
    """Clips, with captions that tell nothing of how anything moves."""
    return _distinct(
        Chance(split, seed, "resting gallery"), split, size, lambda scene: scene, None, _without_motion
    )


def _without_motion(scene: Scene, chance: Chance) -> Query:
    whole = full(scene, chance)
    return replace(whole, things=tuple(replace(thing, motion="") for thing in whole.things), pan="")


def still_gallery(split: Split, seed: int, size: int = 1000, count: int | None = None) -> list[Shown]:
    """Pictures, each at half time of a scene, when nothing is hidden."""
    return _distinct(
        Chance(split, seed, "still gallery"), split, size, lambda scene: still(scene, 0.5), count
    )


def _distinct(
    chance: Chance,
    split: Split,
    size: int,
    seen: Callable[[Scene], Scene],
    count: int | None,
    told: Callable[[Scene, Chance], Query] = full,
) -> list[Shown]:
    found: list[Shown] = []
    while len(found) < size:
        scene = seen(drawn(chance, split == "train", count))
        claim = told(scene, chance)
        shown = Shown(scene, claim, sentence(claim, chance))
        if not any(_clash(shown, other) for other in found):
            found.append(shown)
    return found


def _clash(one: Shown, other: Shown) -> bool:
    """Whether the text of either is true of the other too."""
    return satisfies(one.scene, other.claim) or satisfies(other.scene, one.claim)


def hard_gallery(split: Split, seed: int, groups: int = 125, size: int = 8) -> list[tuple[Attribute, Group]]:
    """Groups that differ in exactly one attribute, the attributes in turn."""
    return [
        (HARD[number % len(HARD)], group(HARD[number % len(HARD)], split, seed, number, size))
        for number in range(groups)
    ]
