"""Labels and other texts that come in numbers → vectors: encoded a few at a time, and each of them once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from core.types import Float32Array
from extractor.encoders.base import Encoder
from index.recent import Recent
from server.batching import Batched
from server.compose import encode
from server.means import are_unit, settled

CACHE_BYTES = 128 << 20  # 10,000 labels of 512 numbers are 20 MiB
_OVERHEAD = 300  # bytes an entry takes beside its numbers
_TEXTS = 8  # encoded together: a fifth of a second of ViT-B-32's text encoder on one core


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Labels, and the sentences that each is put into; as they are by default."""

    labels: tuple[str, ...]
    templates: tuple[str, ...] = ("{}",)

    def texts(self, label: str) -> list[str]:
        return [template.replace("{}", label) for template in self.templates]

    def keys(self, fingerprint: str) -> Iterator[bytes]:
        """What each label's vector is known by; short, since labels and templates may be long."""
        common = blake2b(digest_size=16)
        common.update(f"{len(self.templates)}:".encode())  # else a label could pass for one of them
        for text in (fingerprint, *self.templates):
            common.update(f"{len(text)}:{text}".encode())
        for label in self.labels:
            mine = common.copy()
            mine.update(label.encode())
            yield mine.digest()


@dataclass(frozen=True, slots=True)
class LabelVector:
    """The mean of a label's sentences, and whether the encoder cut one of them."""

    vector: Float32Array
    truncated: bool


LabelCache = Recent[bytes, LabelVector]


def label_cache(max_bytes: int = CACHE_BYTES) -> LabelCache:
    """By their keys."""
    return Recent(max_bytes, _size)


class Labelling:
    """The vectors of a request's labels, as far as there are any."""

    def __init__(self, vocabulary: Vocabulary, cache: LabelCache) -> None:
        self.vocabulary = vocabulary
        self._cache = cache
        self._fingerprint = ""
        self._keys: list[bytes] = []
        self._found: list[LabelVector | None] = [None] * len(vocabulary.labels)

    @property
    def done(self) -> int:
        """How many labels have theirs."""
        return sum(found is not None for found in self._found)

    def advance(self, encoder: Encoder, seconds: float) -> bool:
        """Encode for about so long, at least one label; whether all are done."""
        until = time.monotonic() + seconds
        self._begin(encoder)
        left = [number for number, found in enumerate(self._found) if found is None]
        at_once = max(1, _TEXTS // len(self.vocabulary.templates))
        for first in range(0, len(left), at_once):
            if first and time.monotonic() >= until:
                return False
            self._encode(encoder, left[first : first + at_once])
        return True

    def vectors(self) -> tuple[Float32Array, bool]:
        """float32 [labels, dim] when all are done, and whether a sentence was cut."""
        found = [each for each in self._found if each is not None]
        return np.stack([each.vector for each in found]), any(each.truncated for each in found)

    def _begin(self, encoder: Encoder) -> None:
        if self._fingerprint == encoder.spec.fingerprint:
            return
        self._fingerprint = encoder.spec.fingerprint
        self._keys = [*self.vocabulary.keys(self._fingerprint)]
        self._found = [self._cache.get(key) for key in self._keys]

    def _encode(self, encoder: Encoder, numbers: Sequence[int]) -> None:
        sentences = [self.vocabulary.texts(self.vocabulary.labels[number]) for number in numbers]
        texts = [text for mine in sentences for text in mine]
        batches = range(0, len(texts), _TEXTS)
        once = encoder.once() if isinstance(encoder, Batched) else encoder  # queries are remembered there
        encoded = np.concatenate([encode(once, texts[first : first + _TEXTS]) for first in batches])
        cut = iter(encoder.too_long(texts))
        each = encoded.reshape(len(numbers), -1, encoder.spec.dim)  # by its templates
        means = settled(each.mean(axis=1, dtype=np.float64), are_unit(each))
        for number, mean, mine in zip(numbers, means, sentences, strict=True):
            vector = LabelVector(mean.copy(), any([next(cut) for _ in mine]))
            self._found[number] = vector
            self._cache.put(self._keys[number], vector)


def _size(key: bytes, held: LabelVector) -> int:
    return held.vector.nbytes + _OVERHEAD
