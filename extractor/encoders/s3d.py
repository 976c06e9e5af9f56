"""S3D of HowTo100M: a vector a second of video, and texts by their words (MIL-NCE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from core.errors import EncoderError
from core.types import EncoderSpec, IntArray, Look, Sampling
from extractor.encoders import BY_HAND, require_variant
from extractor.encoders.base import EXACT, Pace, means, unit
from extractor.encoders.open_clip import ready
from extractor.encoders.precision import Precision
from extractor.encoders.recipe import seed_of
from extractor.encoders.s3d_model import PICTURES, WORDS, Model, Sizes, Video, drawn, filled
from extractor.encoders.s3d_words import Words, words_for
from extractor.encoders.tensors import read
from extractor.encoders.tower import Tower
from extractor.encoders.weights import RANDOM, called, hash_of

FAMILY = "s3d"
UNIT = "unit"  # the variant whose seconds have length 1, as the authors of VideoCLIP stored them
LOOK = Look(size=224, fit="ffmpeg", sar=False, run=PICTURES)
SAMPLING = Sampling(fps=1.0, clip_seconds=8.0, stride_seconds=4.0)
_MOST = 4  # seconds computed together on a GPU: more would only fill memory
_ALONE = 1  # on a processor, which one second keeps busy: what a row is then never depends on its neighbours
_TEXTS = 256


class Seconds:
    """The tower of pictures, on a device: runs of 30 of them to a feature each."""

    def __init__(self, spec: EncoderSpec, video: Video, device: str) -> None:
        self._video = video.to(device)
        self.at_once = _ALONE if torch.device(device).type == "cpu" else _MOST
        self.tower = Tower(spec, self._video, self._encoded, lambda rows: rows.float())

    def begin(self, pace: Pace) -> None:
        """Bring it to a precision, and perhaps compile it for as many as go through it at once."""
        most = min(pace.compiled_for, self.at_once) * PICTURES
        self.tower.begin(replace(pace, compiled_for=most))

    def __call__(self, pictures: Tensor, *, is_unit: bool) -> Tensor:
        """float32 [seconds, dim] of uint8 [30 · seconds, size, size, 3]; each brought to length 1, or as the
        net makes it."""
        runs = torch.split(pictures, self.at_once * PICTURES)
        found = torch.cat([self.tower(run) for run in runs]).float()
        return unit(found) if is_unit else found

    def _encoded(self, pictures: Tensor) -> Tensor:
        """Of [30 · seconds, 3, size, size]."""
        seconds = pictures.reshape(-1, PICTURES, *pictures.shape[1:])
        found: Tensor = self._video(seconds.transpose(1, 2))
        return found


class S3D:
    """A model, on a device. A clip is the mean of its seconds, and a score an inner product, as the authors'
    is."""

    logit_scale = (
        1.0  # MIL-NCE's softmax is over the products as they are; of length 1 or not, none is a cosine
    )

    def __init__(self, spec: EncoderSpec, model: Model, words: Words, device: str) -> None:
        self.spec = spec
        self._device = torch.device(device)
        self._texts, self._words = model.texts.to(self._device), words
        self._is_unit = spec.name == f"{FAMILY}:{UNIT}"
        self.seconds = Seconds(spec, model.video, device)

    @property
    def precision(self) -> Precision:
        """What seconds are computed in."""
        return self.seconds.tower.precision

    def features(self, pictures: Tensor) -> Tensor:
        """float32 [n / 30, dim]: one of each second."""
        return self.seconds(pictures, is_unit=self._is_unit)

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """The mean of each one's seconds; of those of length 1 it has again length 1."""
        if not index:
            return self._none()
        found = means(features, index)
        return unit(found) if self._is_unit else found.float()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """By the first 16 words that are known of each."""
        ids = self._words.ids(texts)
        rows = [
            self._texts(torch.tensor(ids[first : first + _TEXTS], device=self._device))
            for first in range(0, len(texts), _TEXTS)
        ]
        return torch.cat(rows) if rows else self._none()

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which have more known words than are read."""
        return [count > WORDS for count in self._words.counts(texts)]

    def known(self, texts: Sequence[str]) -> list[bool]:
        """Which have a word of the list; the others have one vector, whatever they say."""
        return [count > 0 for count in self._words.counts(texts)]

    def _none(self) -> Tensor:
        return torch.empty(0, self.spec.dim, device=self._device)


def load(
    variant: str, device: str, weights: Path | None, *, random_weights: int | None = None, pace: Pace = EXACT
) -> S3D:
    """With the weights of a file, all of whose sizes are read off it, or with random ones of the authors'
    sizes."""
    require_variant(f"{FAMILY}:{variant}")
    device = ready(device, pace, weights, random_weights)
    name = f"{FAMILY}:{variant}" if variant else FAMILY
    hash, model = model_of(weights, random_weights, name=name)
    spec = EncoderSpec(
        name,
        model.video.fc.out_features,
        LOOK,
        weights=hash,
        sampling=SAMPLING,
    )
    known = model.texts.word_embd.num_embeddings - 1
    encoder = S3D(spec, model, words_for(hash, known, name=name), device)
    encoder.seconds.begin(pace)
    return encoder


def model_of(weights: Path | None, random_weights: int | None, *, name: str) -> tuple[str, Model]:
    """The model of the authors' file, or a random one of their sizes, and how a spec names its weights."""
    if random_weights is not None:
        return f"{RANDOM}{seed_of(random_weights)}", drawn(Sizes(), random_weights)
    if weights is None:
        raise EncoderError(f"{name} needs --weights FILE: {BY_HAND[FAMILY]}.")
    return hash_of(weights), filled(read(weights), file=called(weights), name=name)
