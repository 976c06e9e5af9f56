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
    """The k best live rows of each query, best first; equal scores by source, then time. Rows are read once
    for all queries, and compared with each alone, so that who asks beside it changes no score."""
    none = np.empty(0, np.int64)
    best = [Found(none, none, none, np.empty(0, np.float32))] * len(queries)
    for number, part in enumerate(parts):
        for at in part.steps():
            vectors, part_of = part.part.vectors(at), np.full(len(at), number)
            for asked, found in enumerate(best):
                require_wanted()
                (scores,) = scores_of_all(queries[asked : asked + 1], vectors)
                best[asked] = _kept(found.and_(Found(np.zeros(len(at), np.int64), part_of, at, scores)), k)
    return [rows for found in best for rows in best_of(parts, found, 1, k)]


def _kept(found: Found, k: int) -> Found:
    """The k best, and all that are as good as the last of them."""
    if len(found.score) <= k:
        return found
    return found.only(found.score >= np.partition(found.score, -k)[-k])
