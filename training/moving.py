"""Clips for what moves: of few pictures or many, of a motion's part or all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.types import IntArray
from extractor.encoders.clip2video_model import PICTURES
from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.drawn import Split, drawn
from extractor.world.film import SIDE
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.query import Query
from extractor.world.render import render
from extractor.world.scene import Scene
from training.coded import coded
from training.groups import ATTRIBUTES, Attribute, group

_FEWEST = 4  # pictures, that still show a blink
_LEAST = 0.55  # of a motion
_ASIDE = 0.35  # of what is left out of it, that the clip's middle may lie off half time: all of them pass it
_SIZES: dict[Attribute, tuple[int, ...]] = {"motion": (16,), "count": (4, 8)}  # of groups; of others 8


@dataclass(frozen=True, slots=True)
class Moving:
    """n clips; those of a group (its number ≥ 0) differ in one attribute alone."""

    scenes: list[Scene]
    claims: list[Query]
    groups: list[int]
    moments: list[list[float]]  # of each clip: when its pictures are taken

    @property
    def index(self) -> list[IntArray]:
        """Which of all pictures are each clip's."""
        ends = np.cumsum([len(parts) for parts in self.moments])
        return [np.arange(end - len(parts), end) for end, parts in zip(ends, self.moments, strict=True)]

    def captions(self, chance: Chance) -> list[str]:
        """The claims in words: in other ones each time."""
        return [sentence(each, chance) for each in self.claims]

    def pictures(self, side: int) -> Pixels:
        """[of all clips, side, side, 3]."""
        return np.concatenate(list(self._rendered(side)))

    def coded(self, side: int, chance: Chance) -> Pixels:
        """The same after a video file that shows one clip after the other."""
        return coded((picture for clip in self._rendered(SIDE) for picture in clip), side, chance)

    def _rendered(self, side: int) -> Iterator[Pixels]:
        return (render(scene, parts, side) for scene, parts in zip(self.scenes, self.moments, strict=True))


def ordinary(split: Split, seed: int, number: int, size: int) -> Moving:
    """Clips that have nothing to do with each other."""
    chance = Chance(split, seed, "moving", number)
    scenes = [drawn(chance, split == "train") for _ in range(size)]
    claims = [claim(scene, chance) for scene in scenes]
    return Moving(scenes, claims, [-1] * size, [moments(chance) for _ in scenes])


def alike(
    split: Split, seed: int, number: int, size: int, attributes: Sequence[Attribute] = ATTRIBUTES
) -> Moving:
    """As many groups as fit, one at least; a group's clips are seen at the same moments."""
    chance, found = Chance(split, seed, "moving alike", number), Moving([], [], [], [])
    while True:
        attribute, begun = chance.one(attributes), len(found.scenes)
        most = chance.one(_SIZES.get(attribute, (8,)))
        held = group(attribute, split, seed, number * size + begun, most)
        count = len(held.scenes)
        if begun and begun + count > size:
            return found
        found.scenes.extend(held.scenes)
        found.claims.extend(held.claims)
        found.groups.extend([begun] * count)
        found.moments.extend([moments(chance)] * count)


def moments(chance: Chance) -> list[float]:
    """When a clip's pictures are taken: evenly, 4 to 12 of them, over most of a motion or all of it."""
    length, count = chance.between(_LEAST, 1.0), _FEWEST + chance.below(PICTURES - _FEWEST + 1)
    middle = 0.5 + _ASIDE * (1 - length) * chance.between(-1, 1)
    return [middle + length * ((i + 0.5) / count - 0.5) for i in range(count)]
