"""The best rows by the stored vectors, every live one compared: no index, and nothing that it could miss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.stop import require_wanted
from core.types import Float32Array
from index.live import LivePart
from index.merge import Found, best_of
from index.ranked import Rows
from index.scoring import scores_of_all


def every_row(parts: Sequence[LivePart], queries: Float32Array, k: int) -> list[Rows]:
    """The k best live rows of each query, best first; equal scores by source, then time."""
    return [rows for number in range(len(queries)) for rows in _one(parts, queries[number : number + 1], k)]


def _one(parts: Sequence[LivePart], query: Float32Array, k: int) -> list[Rows]:
    none = np.empty(0, np.int64)
    best = Found(none, none, none, np.empty(0, np.float32))
    for number, part in enumerate(parts):
        for at in part.steps():
            require_wanted()
            (scores,) = scores_of_all(query, part.part.vectors(at))
            best = best.and_(Found(np.zeros(len(at), np.int64), np.full(len(at), number), at, scores))
            if len(at) and len(best.score) > k:
                best = best.only(best.score >= np.partition(best.score, -k)[-k])
    return best_of(parts, best, 1, k)
