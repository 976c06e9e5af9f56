"""What the pictures within moments say: the best second of each, and in which order they should come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from core.stop import require_wanted
from core.types import Float32Array, Float64Array, IntArray
from index.moments import Moment
from index.snapshot import Snapshot

WEIGHED = 256  # moments, of whose pictures all are read
_AT_ONCE = 64


def best_seconds(view: Snapshot, query: Float32Array, moments: Sequence[Moment]) -> Iterator[float]:
    """Where the best picture of each is; where none is stored, the middle of its best row."""
    inside = iter(_within(view, [moment for moment in moments if moment.kind != "frame"]))
    for moment in moments:
        if moment.kind == "frame":
            yield moment.best_t
            continue
        begins, vectors = next(inside)
        yield float(begins[np.argmax(vectors @ query)]) if len(begins) else moment.best_t


def weighed(view: Snapshot, query: Float32Array, moments: Sequence[Moment]) -> list[Moment]:
    """The first of these, ordered by their pictures: a mean in which those like the query weigh more.

    A clip's own row is the plain mean, in which a short event is lost. How steep the weights are is how far
    scores of pictures scatter below their median, where nothing is found.
    """
    first, others = [*moments[:WEIGHED]], moments[WEIGHED:]
    inside = [vectors @ query for _, vectors in _within(view, first)]
    scores = np.concatenate([np.empty(0, np.float32), *inside]).astype(np.float64)
    if not len(scores):
        return [*moments]
    low, middle = np.quantile(scores, [0.16, 0.5]).tolist()
    edges = np.cumsum([0, *map(len, inside)])
    value = _means(scores, edges, max(middle - low, 1e-9))
    value[np.isnan(value)] = np.array([moment.score for moment in first])[np.isnan(value)]
    ranked = [replace(moment, weighed=each) for each, moment in zip(value.tolist(), first, strict=True)]
    ranked.sort(key=lambda m: (-(m.weighed or 0.0), m.source, m.start))
    return [*ranked, *others]


def _means(scores: Float64Array, edges: IntArray, scatter: float) -> Float64Array:
    """Of each run of scores the mean, weighted by exp(score / scatter); NaN of an empty one."""
    found = np.full(len(edges) - 1, np.nan)
    for number, (first, behind) in enumerate(pairwise(edges.tolist())):
        if behind > first:
            run = scores[first:behind]
            weights = np.exp((run - run.max()) / scatter)
            found[number] = weights @ run / weights.sum()
    return found


def _within(view: Snapshot, moments: Sequence[Moment]) -> list[tuple[Float64Array, Float32Array]]:
    found: list[tuple[Float64Array, Float32Array]] = []
    for first in range(0, len(moments), _AT_ONCE):
        require_wanted()
        some = moments[first : first + _AT_ONCE]
        found += view.within("frame", [(moment.source, moment.start, moment.end) for moment in some])
    return found
