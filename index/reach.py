"""How far a search has to reach: which of a query's nearest lists hold its best rows. No search is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.types import Float32Array, Float64Array, IntArray
from index.live import LivePart
from index.truth import Array, lives

FARTHEST = 2_048  # lists that are put in order for a query
_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Reach:
    """Of the best rows of each query, [queries, rows]: how near the list is that it lies in, from 0 on."""

    ranks: IntArray
    count: IntArray  # of each query's best rows

    @classmethod
    def of(
        cls, held: Sequence[LivePart], truth: Sequence[Array], queries: Float32Array, best: Float32Array
    ) -> Reach | None:
        """None where parts of several trainings are searched, each with lists of its own. `best`: the scores
        of each query's best rows, in order; -inf where there are fewer."""
        if len({part.about.trained for part in held}) != 1:
            return None
        count = np.isfinite(best).sum(axis=1)
        last = np.min(best, axis=1, where=np.isfinite(best), initial=np.inf)
        lists = held[0].part.asked(queries, min(FARTHEST, held[0].part.list_count)).lists
        if lists is None:
            return None
        ranks = [_ranks(part, each, lists, last) for part, each in zip(held, truth, strict=True)]
        return cls(np.concatenate(ranks, axis=1), count)

    def shares(self, lists: int) -> Float64Array:
        """What is found by looking into so many, of each query; nan where there is nothing to find."""
        found = np.minimum((self.ranks < lists).sum(axis=1), self.count)
        shares = np.full(len(found), np.nan)
        np.divide(found, self.count, out=shares, where=self.count > 0)
        return shares


def _ranks(part: LivePart, truth: Array, lists: IntArray, last: Float32Array) -> IntArray:
    """Of the rows of one part that score as the last of the best do, or better."""
    counts = (truth["score"] >= last[:, None]) & lives(part, truth)
    width = int(counts.sum(axis=1).max(initial=0))  # they stand first, but for those that died
    found = np.full((len(truth), width), _NEVER, np.int64)
    for query in np.flatnonzero(counts.any(axis=1)).tolist():
        mine = part.part.lists_of(truth["position"][query, counts[query]].astype(np.int64))
        order = np.argsort(lists[query])
        at = np.minimum(np.searchsorted(lists[query], mine, sorter=order), lists.shape[1] - 1)
        rank = order[at]
        found[query, : len(mine)] = np.where(lists[query, rank] == mine, rank, _NEVER)
    return found
