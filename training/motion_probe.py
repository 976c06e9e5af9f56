"""What an encoder of clips knows of motion, on validation scenes. Its pictures go through the tower once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.types import IntArray
from evaluation.retrieval import retrieval
from extractor.encoders.base import means, unit
from extractor.encoders.clip2video import Clip2Video
from extractor.world.chance import Chance
from extractor.world.drawn import scene
from extractor.world.grammar import sentence
from extractor.world.motions import DIRECTIONS, MOTIONS, REVERSED
from extractor.world.query import Named, Query
from extractor.world.render import render
from extractor.world.scene import Scene
from training.gallery import gallery
from training.probe import place_r2

_PICTURES = 8  # a clip
_PARTS = [(i + 0.5) / _PICTURES for i in range(_PICTURES)]
_SENSED = tuple(motion for motion in MOTIONS if REVERSED[motion] != motion)
_AT_ONCE = 128
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shown:
    """Clips, by the tower's vectors of their pictures."""

    scenes: list[Scene]
    features: Tensor
    index: list[IntArray]


@dataclass(frozen=True, slots=True)
class Probe:
    """All that is shown."""

    one: Shown  # thing, that goes somewhere
    named: Shown  # among two or three
    moved: Shown  # in any way
    there: Shown
    back: Shown  # the same, backwards
    many: Shown
    texts: list[str]  # of the many

    def __call__(self, encoder: Clip2Video) -> dict[str, float]:
        """Its figures."""
        directions = tuple(DIRECTIONS)
        one, named, moved, there, back, many = (
            _clips(encoder, each)
            for each in (self.one, self.named, self.moved, self.there, self.back, self.many)
        )
        found = retrieval(_texts(encoder, self.texts) @ many.T)
        one_mean, senses_mean = _means(self.one), np.concatenate([_means(self.there), _means(self.back)])
        direction, direction_mean = _told(encoder, [one, one_mean], self.one.scenes, directions)
        reversal, reversal_mean = _senses(encoder, [np.concatenate([there, back]), senses_mean], self)
        (direction_named,) = _told(encoder, [named], self.named.scenes, directions)
        (motions,) = _told(encoder, [moved], self.moved.scenes, MOTIONS)
        return {
            "direction": direction,
            "direction_named": direction_named,
            "direction_mean": direction_mean,
            "motions": motions,
            "reversal": reversal,
            "reversal_mean": reversal_mean,
            "text_to_clip_r1": found.text_to_video.r1 / 100,
            "text_to_clip_r10": found.text_to_video.r10 / 100,
            "clip_to_text_r1": found.video_to_text.r1 / 100,
        }

    def place_r2(self) -> float:
        """How well the mean of a clip's pictures tells where its thing is: without that no head can tell
        where it goes."""
        return place_r2(_means(self.moved)[:, : self.moved.features.shape[1]], self.moved.scenes)


def probe_of(encoder: Clip2Video, seed: int, size: int = 240, many: int = 1000) -> Probe:
    """From a seed; `encoder` makes the pictures' vectors."""
    senses = _scenes(seed, size, _SENSED)
    shown = gallery("validation", seed, many)
    return Probe(
        _shown(encoder, _scenes(seed, size, tuple(DIRECTIONS))),
        _shown(encoder, _scenes(seed, size, tuple(DIRECTIONS), among=(2, 3))),
        _shown(encoder, _scenes(seed, size, MOTIONS)),
        _shown(encoder, senses),
        _shown(encoder, [each.reversed() for each in senses]),
        _shown(encoder, [each.scene for each in shown]),
        [each.text for each in shown],
    )


def _scenes(seed: int, size: int, motions: Sequence[str], among: tuple[int, ...] = (1,)) -> list[Scene]:
    """Whose first thing, of a look of its own, moves so, in turn."""
    found: list[Scene] = []
    number = 0
    while len(found) < size:
        drawn = scene("validation", seed, number, among[number % len(among)])
        number += 1
        first, *others = drawn.things
        if all((first.shape, first.colour) != (each.shape, each.colour) for each in others):
            first = replace(first, motion=motions[len(found) % len(motions)])
            found.append(replace(drawn, things=(first, *others)))
    return found


@torch.inference_mode()
def _shown(encoder: Clip2Video, scenes: list[Scene]) -> Shown:
    side = encoder.spec.look.size
    parts: list[Tensor] = []
    for first in range(0, len(scenes), _AT_ONCE):
        clips = [render(each, _PARTS, side) for each in scenes[first : first + _AT_ONCE]]
        parts.append(encoder.features(torch.from_numpy(np.concatenate(clips))))
    index = [np.arange(i * _PICTURES, (i + 1) * _PICTURES) for i in range(len(scenes))]
    return Shown(scenes, torch.cat(parts), index)


@torch.inference_mode()
def _clips(encoder: Clip2Video, shown: Shown) -> Vectors:
    found: Vectors = encoder.clips(shown.features, shown.index).cpu().numpy()
    return found


def _means(shown: Shown) -> Vectors:
    """The plain mean of pictures' vectors, against the half of texts that is no words' alignment."""
    mean: Vectors = unit(means(shown.features, shown.index)).cpu().numpy()
    return np.concatenate([mean, np.zeros_like(mean)], axis=1)


@torch.inference_mode()
def _texts(encoder: Clip2Video, texts: list[str]) -> Vectors:
    found: Vectors = encoder.texts(texts).cpu().numpy()
    return found


def _told(
    encoder: Clip2Video, rows: list[Vectors], scenes: list[Scene], choices: Sequence[str]
) -> list[float]:
    """How often the right one of these motions scores best, by each encoder's rows."""
    motions = [each.things[0].motion for each in scenes]
    named = [(motion, *(each for each in choices if each != motion)) for motion in motions]
    return _right(encoder, rows, scenes, named)


def _senses(encoder: Clip2Video, rows: list[Vectors], probe: Probe) -> list[float]:
    """How often, of a motion and what it is backwards, the one that is seen scores better: half of the time
    where both look the same."""
    scenes = [*probe.there.scenes, *probe.back.scenes]
    motions = [each.things[0].motion for each in scenes]
    return _right(encoder, rows, scenes, [(motion, REVERSED[motion]) for motion in motions])


def _right(
    encoder: Clip2Video, rows: list[Vectors], scenes: list[Scene], motions: Sequence[tuple[str, ...]]
) -> list[float]:
    """How often the first of each scene's motions scores best, said of its first thing."""
    texts = []
    for number, (each, named) in enumerate(zip(scenes, motions, strict=True)):
        first = each.things[0]
        for motion in named:
            query = Query((Named(first.shape, first.colour, motion=motion),))
            texts.append(sentence(query, Chance("said", number)))
    said = _texts(encoder, texts).reshape(len(scenes), len(motions[0]), -1)
    scores = [np.einsum("nmd,nd->nm", said, each) for each in rows]
    return [float((each[:, :1] > each[:, 1:]).all(axis=1).mean()) for each in scores]
