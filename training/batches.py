"""Pictures and clips with captions and labels, rendered when they are needed, from a seed and a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.drawn import Split, drawn
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.query import Query
from extractor.world.render import render
from extractor.world.scene import Scene, still
from training.groups import ATTRIBUTES, BOUND, Attribute, Group, group
from training.labels import Labels, labels

FRAMES = 8
_LEAST = 0.6  # of a motion that a clip shows, around its half time


@dataclass(frozen=True, slots=True)
class Batch:
    """n clips. Those of a group (its number ≥ 0) differ in one attribute alone."""

    pictures: Pixels  # [n, frames, side, side, 3]
    captions: list[str]
    claims: list[Query]
    scenes: list[Scene]  # as they are seen: of single pictures, at that moment
    labels: Labels
    groups: list[int]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Sentences of no picture."""

    claims: list[Query]
    captions: list[str]


def pictures(split: Split, seed: int, number: int, size: int, side: int, alone: float = 0.0) -> Batch:
    """Single pictures, each at any moment of its scene; that share of them, and more, of one thing alone."""
    chance = Chance(split, seed, "pictures", number)
    scenes = [drawn(chance, split == "train", 1 if chance.yes(alone) else None) for _ in range(size)]
    parts = [chance.between(0, 1) for _ in range(size)]
    seen = [still(scene, part) for scene, part in zip(scenes, parts, strict=True)]
    shown = [render(scene, [part], side) for scene, part in zip(scenes, parts, strict=True)]
    return _batch(shown, seen, [claim(each, chance) for each in seen], [-1] * size, chance)


def clips(split: Split, seed: int, number: int, size: int, side: int, frames: int = FRAMES) -> Batch:
    """Clips of several pictures."""
    chance = Chance(split, seed, "clips", number)
    scenes = [drawn(chance, split == "train") for _ in range(size)]
    shown = [render(scene, times(chance, frames), side) for scene in scenes]
    return _batch(shown, scenes, [claim(each, chance) for each in scenes], [-1] * size, chance)


def grouped(
    split: Split,
    seed: int,
    number: int,
    side: int,
    attributes: Sequence[Attribute] = ATTRIBUTES,
    frames: int = FRAMES,
    most: int = 256,
) -> Batch:
    """Groups whose clips differ in one attribute, as many as fit; of one frame, without what moves."""
    chance = Chance(split, seed, "grouped", number)
    held: list[Group] = []
    while True:
        attribute = chance.one(attributes)
        size = 16 if attribute == "motion" else chance.one((4, 8)) if attribute == "count" else 8
        next_one = group(attribute, split, seed, number * most + len(held), size, moving=frames > 1)
        if held and sum(len(each.scenes) for each in held) + len(next_one.scenes) > most:
            break
        held.append(next_one)
    scenes = [scene for each in held for scene in each.scenes]
    claims = [query for each in held for query in each.claims]
    numbers = [i for i, each in enumerate(held) for _ in each.scenes]
    parts = [times(chance, frames) for _ in held]
    shown = [render(scene, parts[i], side) for scene, i in zip(scenes, numbers, strict=True)]
    return _batch(shown, scenes, claims, numbers, chance)


def sentences(
    split: Split,
    seed: int,
    number: int,
    size: int,
    attributes: Sequence[Attribute] = BOUND,
    moving: bool = False,
) -> Spoken:
    """About so many, in groups that differ in one of these; motions are told if they are `moving`."""
    chance = Chance(split, seed, "sentences", number)
    each = max(1, size // 8 // len(attributes))
    held = [
        group(told, split, seed, number * each + i, moving=moving) for told in attributes for i in range(each)
    ]
    claims = [claim for one in held for claim in one.claims]
    return Spoken(claims, [sentence(claim, chance) for claim in claims])


def times(chance: Chance, frames: int) -> list[float]:
    """When pictures are taken: evenly over most of the motion or all of it, around its half time."""
    length = chance.between(_LEAST, 1.0)
    return [0.5 + length * ((i + 0.5) / frames - 0.5) for i in range(frames)]


def _batch(
    shown: list[Pixels], scenes: list[Scene], claims: list[Query], groups: list[int], chance: Chance
) -> Batch:
    captions = [sentence(each, chance) for each in claims]
    return Batch(np.stack(shown), captions, claims, scenes, labels(scenes), groups)
