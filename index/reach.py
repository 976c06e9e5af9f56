"""How far a search has to reach: which of a query's nearest lists hold its best rows. No search is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.types import Float32Array, IntArray
from index.live import LivePart
from index.truth import Array, lives

FARTHEST = 2_048  # lists that are put in order for a query
_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Reach:
    """Of the best rows of each query, [queries, rows]: how near the list is that it lies in, from 0 on."""

    ranks: IntArray
    scores: Float32Array

    @classmethod
    def of(
        cls, held: Sequence[LivePart], truth: Sequence[Array], queries: Float32Array, lowest: Float32Array
    ) -> Reach | None:
        """None where parts of several trainings are searched, each with lists of its own.

        lowest: what a row has to score to be one of a query's best.
        """
        if len({part.about.trained for part in held}) != 1:
            return None
        lists = held[0].part.asked(queries, min(FARTHEST, held[0].part.list_count)).lists
        if lists is None:
            return None
        of_parts = [_ranks(part, each, lists, lowest) for part, each in zip(held, truth, strict=True)]
        ranks, scores = (np.concatenate(each, axis=1) for each in zip(*of_parts, strict=True))
        return cls(ranks, scores)

    def found(self, lists: int, lowest: Float32Array) -> IntArray:
        """How many rows that score so are found by looking into so many lists, of each query."""
        found: IntArray = ((self.ranks < lists) & (self.scores >= lowest[:, None])).sum(axis=1)
        return found


def _ranks(
    part: LivePart, truth: Array, lists: IntArray, lowest: Float32Array
) -> tuple[IntArray, Float32Array]:
    """Of the rows of one part that are among the best; and their scores."""
    counts = (truth["score"] >= lowest[:, None]) & lives(part, truth)
    width = int(counts.sum(axis=1).max(initial=0))  # they stand first, but for those that died
    found = np.full((len(truth), width), _NEVER, np.int64)
    scores = np.full(found.shape, -np.inf, np.float32)
    for query in np.flatnonzero(counts.any(axis=1)).tolist():
        rows = truth[query, counts[query]]
        mine = part.part.lists_of(rows["position"].astype(np.int64))
        order = np.argsort(lists[query])
        at = np.minimum(np.searchsorted(lists[query], mine, sorter=order), lists.shape[1] - 1)
        rank = order[at]
        found[query, : len(mine)] = np.where(lists[query, rank] == mine, rank, _NEVER)
        scores[query, : len(mine)] = rows["score"]
    return found, scores
