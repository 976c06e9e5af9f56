"""Means of vectors: of vectors of length 1 again one of length 1."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.types import Float32Array, Float64Array

UNIT = 5e-3  # how far from length 1 the float16 rows of a unit encoder may be
NOTHING = 1e-6


def mean(some: Iterable[Float32Array]) -> Float32Array:
    """Of vectors that come some at a time; there is one at least."""
    total, count, is_unit = np.zeros(()), 0, True
    for vectors in some:
        total = total + vectors.sum(axis=0, dtype=np.float64)
        count += len(vectors)
        is_unit &= are_unit(vectors)
    return settled(total / count, is_unit)


def weighted(vectors: Float32Array, weights: Float64Array) -> Float32Array:
    """Σ weight · vector / Σ |weight|."""
    scaled = weights / np.abs(weights).max()  # first: the smallest ones are no float32
    return settled(scaled @ vectors / np.abs(scaled).sum(), are_unit(vectors))


def are_unit(vectors: Float32Array) -> bool:
    """Whether all of them, [..., dim], have length 1."""
    return bool((np.abs(np.linalg.norm(vectors, axis=-1) - 1) <= UNIT).all())


def settled(means: Float64Array, is_unit: bool) -> Float32Array:
    """Means, [..., dim], of what has length 1 or not."""
    if is_unit:
        lengths = np.linalg.norm(means, axis=-1, keepdims=True)
        means = np.divide(means, lengths, out=means, where=lengths > NOTHING)
    return means.astype(np.float32)
