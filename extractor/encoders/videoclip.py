"""VideoCLIP: a clip is up to 32 of its seconds, each told by S3D, as a BERT reads them.

Rows are not normalised: the authors' score is the plain inner product of a clip's row with a text's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import EncoderError, UsageError
from core.types import EncoderSpec, IntArray
from extractor.encoders import BY_HAND, S3D, require_variant, s3d, vocabulary
from extractor.encoders.base import EXACT, Around, Pace
from extractor.encoders.open_clip import ready
from extractor.encoders.precision import Precision
from extractor.encoders.recipe import seed_of
from extractor.encoders.tensors import read
from extractor.encoders.videoclip_model import (
    CAPS,
    MOST_WORDS,
    SECONDS,
    Model,
    Shape,
    drawn,
    filled,
    renamed,
    shape_of,
)
from extractor.encoders.vocabulary import PAD, WordPieces
from extractor.encoders.weights import RANDOM, called, hash_of

FAMILY = "videoclip"
RAW = "raw"  # the variant whose features have S3D's own lengths
_AT_ONCE = 64  # runs or texts


class VideoClip:
    """A model over S3D, on a device. Features are S3D's of a second, of length 1 unless its variant says
    otherwise."""

    around = Around(SECONDS, SECONDS // 2)  # as in the authors' localisation
    logit_scale = 1.0  # they trained with the scores as they are

    def __init__(
        self, spec: EncoderSpec, model: Model, seconds: s3d.Seconds, pieces: WordPieces, device: str
    ) -> None:
        self.spec = spec
        self._device = torch.device(device)
        self._model, self._seconds, self._pieces = model.to(self._device), seconds, pieces

    @property
    def precision(self) -> Precision:
        """What S3D computes in; what comes after it is fp32."""
        return self._seconds.tower.precision

    def features(self, pictures: Tensor) -> Tensor:
        """float32 [n, features], one a second."""
        return self._seconds(pictures, is_unit=not self.spec.name.endswith(f":{RAW}"))

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """Of more seconds than 32 the first ones are seen, as the authors do in retrieval."""
        rows = torch.empty(len(index), self.spec.dim, device=self._device)
        for numbers, seen, mask in self._padded(features, [run[:SECONDS] for run in index]):
            rows[numbers] = self._model.videos(seen, mask)
        return rows

    def frames(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """What each second of each run is among the others of it, as in the authors' localisation."""
        counts = [len(run) for run in index]
        if max(counts, default=0) > SECONDS:
            raise ValueError(f"A run of {max(counts)} seconds is longer than {SECONDS}.")
        states: list[Tensor] = [features.new_empty(0)] * len(index)
        for numbers, seen, mask in self._padded(features, index):
            found = self._model.seconds(seen, mask, sees_start=False)[:, 1:]
            for number, mine in zip(numbers, found, strict=True):
                states[number] = mine[: counts[number]]
        return torch.cat(states) if states else torch.empty(0, self.spec.dim, device=self._device)

    def moment_states(self, features: Tensor) -> Tensor:
        """[32, dim]: what the first 32 seconds of one video are among each other, and the padding behind the
        last, the start seen: what the authors rank DiDeMo's moments by. Rows of frames are none of these."""
        seen = features[:SECONDS].to(self._device, torch.float32)
        padded, count = seen.new_zeros(1, SECONDS, features.shape[1]), len(seen)
        padded[0, :count] = seen
        mask = torch.arange(SECONDS, device=self._device)[None] < count
        return self._model.seconds(padded, mask, sees_start=True)[0, 1:-1]

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Of more than 61 word pieces the first ones are read."""
        rows = torch.empty(len(texts), self.spec.dim, device=self._device)
        # The second of a text's marks is for the video's encoder alone.
        framed = [row[:1] + row[2:] for row in vocabulary.separated(self._pieces.ids(texts), CAPS)]
        for numbers in _alike(framed):
            ids, mask = _filled([framed[number] for number in numbers], PAD)
            rows[numbers] = self._model.texts(ids.to(self._device), mask.to(self._device))
        return rows

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which have more word pieces than are read."""
        return [len(ids) > MOST_WORDS for ids in self._pieces.ids(texts)]

    def _padded(
        self, features: Tensor, index: Sequence[IntArray]
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Some runs at a time: their numbers, features [runs, seconds, features], which are no padding."""
        for numbers in _alike(index):
            places, mask = _filled([index[number] for number in numbers], 0)
            yield numbers, features[places.to(features.device)], mask.to(self._device)


def _alike(rows: Sequence[Sequence[int] | IntArray]) -> Iterator[list[int]]:
    """Numbers of rows that go through together: those of like lengths, so that little is filled up."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for first in range(0, len(order), _AT_ONCE):
        yield order[first : first + _AT_ONCE]


def _filled(rows: Sequence[Sequence[int] | IntArray], value: int) -> tuple[Tensor, Tensor]:
    """Rows filled up to the longest, and which of their values are no filling: bool."""
    found = np.full((len(rows), max(map(len, rows))), value, np.int64)
    mask = np.zeros(found.shape, bool)
    for line, row in enumerate(rows):
        found[line, : len(row)] = row
        mask[line, : len(row)] = True
    return torch.from_numpy(found), torch.from_numpy(mask)


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    s3d_weights: Path | None = None,
    random_weights: int | None = None,
    pace: Pace = EXACT,
) -> VideoClip:
    """With the weights of two files, off which all sizes are read, or with random ones of the authors' sizes.
    The one variant takes S3D's features as they come."""
    require_variant(f"{FAMILY}:{variant}")
    name = f"{FAMILY}:{variant}" if variant else FAMILY
    if s3d_weights is not None and random_weights is not None:
        raise UsageError("--s3d-weights and --random-weights exclude each other.")
    device = ready(device, pace, weights, random_weights)
    if random_weights is None and (weights is None or s3d_weights is None):
        raise _lacking(name, weights, s3d_weights)
    hash, shape, model = _model(name, weights, random_weights)
    s3d_hash, s3d_model = s3d.model_of(s3d_weights, random_weights, name=s3d.FAMILY)
    if (made := s3d_model.video.fc.out_features) != shape.features:
        raise EncoderError(
            f"{name} takes {shape.features} numbers a second, and its S3D makes {made} of each."
        )
    options = ((S3D, s3d_hash),) if s3d_weights else ()
    spec = EncoderSpec(
        name,
        shape.text.width,
        s3d.LOOK,
        weights=hash,
        options=options,
        sampling=s3d.SAMPLING.but({"clip_seconds": float(SECONDS), "stride_seconds": SECONDS / 2}),
    )
    seconds = s3d.Seconds(spec, s3d_model.video, device)
    encoder = VideoClip(spec, model, seconds, vocabulary.word_pieces(), device)
    seconds.begin(pace)
    return encoder


def _lacking(name: str, weights: Path | None, s3d_weights: Path | None) -> EncoderError:
    both = {"--weights FILE": weights, "--s3d-weights FILE": s3d_weights}
    flags = [flag for flag, file in both.items() if file is None]
    also = "also " if len(flags) == 1 else ""
    return EncoderError(f"{name} {also}needs {' and '.join(flags)}: {BY_HAND[FAMILY]}.")


def _model(name: str, weights: Path | None, random_weights: int | None) -> tuple[str, Shape, Model]:
    """Both transformers, of a file or random ones, and how a spec names their weights."""
    if weights is None:
        seed, shape = seed_of(random_weights), Shape()
        return f"{RANDOM}{seed}", shape, drawn(shape, seed)
    hash, state, file = hash_of(weights), renamed(read(weights)), called(weights)
    shape = shape_of(state, file=file, name=name)
    if shape.text.words != vocabulary.PIECES:
        raise EncoderError(
            f"{file} does not fit {name}: it knows {shape.text.words} word pieces, not {vocabulary.PIECES}."
        )
    return hash, shape, filled(state, shape, file=file, name=name)
