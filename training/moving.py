"""Clips for what moves: of few pictures or many, of a motion's part or all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.types import IntArray
from extractor.encoders.clip2video_model import PICTURES
from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.drawn import Split, drawn
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.query import Query
from extractor.world.render import render
from extractor.world.scene import Scene
from training.groups import ATTRIBUTES, Attribute, group

_FEWEST = 4  # pictures, that still show a blink
_LEAST = 0.55  # of a motion
_ASIDE = 0.35  # of what is left out of it, that the clip's middle may lie off half time: all of them pass it
SIZES: dict[Attribute, int] = {"motion": 16, "count": 4}  # of groups; of others 8


@dataclass(frozen=True, slots=True)
class Moving:
    """n clips; those of a group (its number ≥ 0) differ in one attribute alone."""

    pictures: Pixels  # [of all clips, side, side, 3]
    index: list[IntArray]  # which of them are each clip's
    captions: list[str]
    claims: list[Query]
    scenes: list[Scene]
    groups: list[int]


def ordinary(split: Split, seed: int, number: int, size: int, side: int) -> Moving:
    """Clips that have nothing to do with each other."""
    chance = Chance(split, seed, "moving", number)
    scenes = [drawn(chance, split == "train") for _ in range(size)]
    claims = [claim(scene, chance) for scene in scenes]
    return _moving(scenes, claims, [-1] * size, side, chance)


def alike(
    split: Split, seed: int, number: int, size: int, side: int, attributes: Sequence[Attribute] = ATTRIBUTES
) -> Moving:
    """As many groups as fit, one at least; a group's clips are seen at the same moments."""
    chance = Chance(split, seed, "moving alike", number)
    scenes: list[Scene] = []
    claims: list[Query] = []
    groups: list[int] = []
    while True:
        attribute = chance.one(attributes)
        held = group(attribute, split, seed, number * size + len(scenes), SIZES.get(attribute, 8))
        if scenes and len(scenes) + len(held.scenes) > size:
            return _moving(scenes, claims, groups, side, chance)
        groups += [len(scenes)] * len(held.scenes)
        scenes += held.scenes
        claims += held.claims


def moments(chance: Chance) -> list[float]:
    """When a clip's pictures are taken: evenly, 4 to 12 of them, over most of a motion or all of it."""
    length, count = chance.between(_LEAST, 1.0), _FEWEST + chance.below(PICTURES - _FEWEST + 1)
    middle = 0.5 + _ASIDE * (1 - length) * chance.between(-1, 1)
    return [middle + length * ((i + 0.5) / count - 0.5) for i in range(count)]


def _moving(scenes: list[Scene], claims: list[Query], groups: list[int], side: int, chance: Chance) -> Moving:
    by_group = {number: moments(chance) for number in dict.fromkeys(groups) if number >= 0}
    shown = [
        render(scene, by_group[number] if number >= 0 else moments(chance), side)
        for scene, number in zip(scenes, groups, strict=True)
    ]
    captions = [sentence(each, chance) for each in claims]
    return Moving(np.concatenate(shown), rows_of(shown), captions, claims, scenes, groups)


def rows_of(clips: Sequence[Pixels]) -> list[IntArray]:
    """Where each clip's pictures are when all are put together."""
    ends = np.cumsum([len(clip) for clip in clips])
    return [np.arange(end - len(clip), end) for clip, end in zip(clips, ends, strict=True)]
