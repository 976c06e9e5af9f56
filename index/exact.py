"""The best rows by the stored vectors, every live one compared: no index, and nothing that it could miss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np

from core.store import Store
from core.types import Float32Array
from index import part as parts
from index.live import LivePart
from index.merge import Row, ordered
from index.part import Found

_FAISS: Any = faiss


def every_row(store: Store, held: Sequence[LivePart], queries: Float32Array, k: int) -> list[list[Row]]:
    """The k best live rows of each query, best first; equal scores by source, then time."""
    return [ordered(held, [_found(store, part, query, k) for part in held], k) for query in queries]


def _found(store: Store, part: LivePart, query: Float32Array, k: int) -> Found:
    """The k best rows of one part, with all that score as the last one does."""
    best = Found(np.empty(0, np.float32), np.empty(0, np.int64))
    for at in part.steps():
        scores = _scores(parts.exact(store, part.part, at), query)
        best = Found(np.concatenate([best.scores, scores]), np.concatenate([best.positions, at]))
        if len(best.scores) > k:
            last = np.partition(best.scores, len(best.scores) - k)[-k]
            best = Found(best.scores[best.scores >= last], best.positions[best.scores >= last])
    return best


def _scores(vectors: Float32Array, query: Float32Array) -> Float32Array:
    # Not by BLAS: there the last bit of a score depends on where in the block its row stands.
    scores = np.empty(len(vectors), np.float32)
    pointers = map(_FAISS.swig_ptr, (scores, np.ascontiguousarray(query), np.ascontiguousarray(vectors)))
    _FAISS.fvec_inner_products_ny(*pointers, vectors.shape[1], len(vectors))
    return scores
