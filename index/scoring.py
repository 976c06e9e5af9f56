"""Inner products with the vectors that the store holds, added up as FAISS adds up those of a flat index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from core.types import Float32Array, IntArray
from index.faissfile import FAISS
from index.live import LivePart


def scores_of_pairs(
    parts: Sequence[LivePart], queries: Float32Array, query: IntArray, part: IntArray, position: IntArray
) -> Float32Array:
    """Of some rows each with its own query, which must be in ascending order."""
    order = np.lexsort((position, part))  # as they lie on the disk, and each but once
    ordered_part, ordered_position = part[order], position[order]
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (np.diff(ordered_part) != 0) | (np.diff(ordered_position) != 0)
    vectors = stored(parts, ordered_part[is_new], ordered_position[is_new], lie_apart=True)
    which = np.empty(len(order), np.int64)
    which[order] = np.cumsum(is_new) - 1
    column = np.arange(len(query)) - np.searchsorted(query, query)
    wanted = np.full((len(queries), int(column.max(initial=-1)) + 1), -1, np.int64)
    wanted[query, column] = which
    found: Float32Array = _inner_products(queries, vectors, wanted)[query, column]
    return found


def scores_of_all(queries: Float32Array, vectors: Float32Array) -> Float32Array:
    """[queries, vectors]: of each with each."""
    return _inner_products(queries, vectors, np.tile(np.arange(len(vectors)), (len(queries), 1)))


def stored(
    parts: Sequence[LivePart], part: IntArray, position: IntArray, *, lie_apart: bool = False
) -> Float32Array:
    """The vectors of some rows, part by part."""
    pieces = [
        parts[number].part.vectors(position[first:end], lie_apart=lie_apart)
        for number, first, end in stretches(part)
    ]
    if not pieces:  # all that was found may be left out
        return np.empty((0, parts[0].about.dim), np.float32)
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def stretches(numbers: IntArray) -> Iterator[tuple[int, int, int]]:
    """Of numbers of which equal ones lie together: each, where it begins, and where it ends."""
    if not len(numbers):
        return iter(())
    edges = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(numbers)]
    return ((int(numbers[first]), first, end) for first, end in pairwise(edges))


def _inner_products(queries: Float32Array, vectors: Float32Array, which: IntArray) -> Float32Array:
    """[queries, n]: of each query with the vectors of those numbers; -1 is left out."""
    found = np.full(which.shape, -np.inf, np.float32)
    pointers = [FAISS.swig_ptr(each) for each in (found, queries, vectors, which)]
    FAISS.fvec_inner_products_by_idx(*pointers, vectors.shape[1], *which.shape)
    return found
