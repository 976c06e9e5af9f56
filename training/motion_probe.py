"""What an encoder of clips knows of motion, on validation scenes: what `training.measures.motion` measures,
sooner, since nothing is filmed and its pictures go through the tower once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from core.types import Float32Array, IntArray
from evaluation.retrieval import retrieval
from extractor.encoders.base import means, unit
from extractor.encoders.clip2video import Clip2Video
from extractor.world.chance import Chance
from extractor.world.motions import MOTIONS, SENSED
from extractor.world.render import render
from extractor.world.scene import Scene
from training.gallery import gallery
from training.measures.motion import WAYS, captions, chosen, several, single
from training.measures.scores import sense
from training.probe import place_r2

_PICTURES = 8  # a clip
_PARTS = [(i + 0.5) / _PICTURES for i in range(_PICTURES)]
_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """Clips, by the tower's vectors of their pictures; with texts of them, where any are asked for."""

    scenes: list[Scene]
    features: Tensor
    index: list[IntArray]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Probe:
    """All that is shown."""

    one: Shown  # thing, that goes somewhere
    named: Shown  # among two or three
    moved: Shown  # in any way
    there: Shown
    back: Shown  # the same, backwards
    many: Shown

    def __call__(self, encoder: Clip2Video) -> dict[str, float]:
        """Its figures."""
        texts, clips = partial(_texts, encoder), partial(_clips, encoder)
        found = retrieval(texts(self.many.texts) @ clips(self.many).T)
        one = [clips(self.one), _means(self.one)]
        direction, direction_mean = chosen(texts, one, self.one.scenes, WAYS)
        (direction_named,) = chosen(texts, [clips(self.named)], self.named.scenes, WAYS)
        (motions,) = chosen(texts, [clips(self.moved)], self.moved.scenes, MOTIONS)
        both = texts(self.there.texts), texts(self.back.texts)
        return {
            "direction": direction,
            "direction_named": direction_named,
            "direction_mean": direction_mean,
            "motions": motions,
            "reversal": sense(clips(self.there), clips(self.back), *both),
            "reversal_mean": sense(_means(self.there), _means(self.back), *both),
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
    chance, shown = partial(Chance, "validation", seed, "probe"), partial(_shown, encoder)
    there = single(chance("reversal"), size, SENSED)
    back = [each.reversed() for each in there]
    whole = gallery("validation", seed, many)
    return Probe(
        shown(single(chance("direction"), size, WAYS)),
        shown(several(chance("named"), size)),
        shown(single(chance("motion"), size, MOTIONS)),
        shown(there, captions(chance, there)),
        shown(back, captions(chance, back)),
        shown([each.scene for each in whole], [each.text for each in whole]),
    )


@torch.inference_mode()
def _shown(encoder: Clip2Video, scenes: list[Scene], texts: list[str] | None = None) -> Shown:
    side = encoder.spec.look.size
    parts: list[Tensor] = []
    for first in range(0, len(scenes), _AT_ONCE):
        clips = [render(each, _PARTS, side) for each in scenes[first : first + _AT_ONCE]]
        parts.append(encoder.features(torch.from_numpy(np.concatenate(clips))))
    index = [np.arange(i * _PICTURES, (i + 1) * _PICTURES) for i in range(len(scenes))]
    return Shown(scenes, torch.cat(parts), index, texts or [])


@torch.inference_mode()
def _clips(encoder: Clip2Video, shown: Shown) -> Float32Array:
    return encoder.clips(shown.features, shown.index).numpy(force=True)


def _means(shown: Shown) -> Float32Array:
    """The plain mean of pictures' vectors, against the half of texts that is no words' alignment."""
    mean: Float32Array = unit(means(shown.features, shown.index)).numpy(force=True)
    return np.concatenate([mean, np.zeros_like(mean)], axis=1)


@torch.inference_mode()
def _texts(encoder: Clip2Video, texts: list[str]) -> Float32Array:
    return encoder.texts(texts).numpy(force=True)
