"""Vectors of texts that were asked for lately."""

from __future__ import annotations

from dataclasses import dataclass

from core.types import Float32Array
from index.recent import Recent

_OVERHEAD = 400  # bytes that Python needs around a vector and its text


@dataclass(frozen=True, slots=True)
class TextVector:
    """A text as an encoder has it: float32 [dim], and whether it was longer than is read."""

    vector: Float32Array
    is_cut: bool


Key = tuple[str, str]  # an encoder's fingerprint, and a text


VectorCache = Recent[Key, TextVector]


def vector_cache(most_bytes: int) -> VectorCache:
    """In at most so many bytes; 0: none is kept."""
    return Recent(most_bytes, _size)


def _size(key: Key, encoded: TextVector) -> int:
    return encoded.vector.nbytes + 4 * len(key[1]) + _OVERHEAD
