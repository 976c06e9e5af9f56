"""`diversity`: results that are unlike those before them come first. docs/http-api.md, "Diversity"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.types import Float32Array, Float64Array
from index.fusion import reciprocal
from index.moments import Moment
from index.snapshot import Snapshot

CHOSEN_AMONG = 256  # results; those behind stay as they are


def diversified(
    view: Snapshot, query: Float32Array, moments: Sequence[Moment], diversity: float
) -> Sequence[Moment]:
    """The first of these by maximal marginal relevance (Carbonell and Goldstein, 1998)."""
    if not diversity or len(moments) < 3:  # the first one stays the first, and so does the last one of two
        return moments
    first, others = [*moments[:CHOSEN_AMONG]], moments[CHOSEN_AMONG:]
    order = _marginal(_relevance(first), _likeness(vectors_of(view, query, first)), diversity)
    return [*(first[number] for number in order), *others]


def _marginal(relevance: Float64Array, likeness: Float64Array, diversity: float) -> list[int]:
    """Best first: each time what is most relevant, less how like it is to what was taken before."""
    taken = [0]
    nearest = likeness[0].copy()
    is_left = np.ones(len(relevance), np.bool_)
    is_left[0] = False
    while len(taken) < len(relevance):
        worth = np.where(is_left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        taken.append(int(worth.argmax()))  # of equal ones the first
        is_left[taken[-1]] = False
        nearest = np.maximum(nearest, likeness[taken[-1]])
    return taken


def _relevance(moments: Sequence[Moment]) -> Float64Array:
    """From 1 of the first to 0 of the last, by what they are ordered by."""
    are_fused = any(moment.told is not None for moment in moments)
    value = np.array([fused_value(each) if are_fused else _seen_value(each) for each in moments])
    return _scaled(value, value.min(), value.max())


def fused_value(moment: Moment) -> float:
    """The sum of what its ranks count."""
    return sum(reciprocal(rank) for _, rank in moment.ranks)


def _seen_value(moment: Moment) -> float:
    return moment.score if moment.weighed is None else moment.weighed


def _likeness(vectors: Float32Array) -> Float64Array:
    """The cosines of all pairs, scaled from 0 of the least alike to 1 of the same; without a vector 0."""
    length = np.linalg.norm(vectors, axis=1)
    has_one = length > 0
    units = vectors / np.where(has_one, length, 1)[:, None]
    cosine = (units @ units.T).astype(np.float64)
    pairs = np.outer(has_one, has_one)
    least = cosine[pairs].min() if pairs.any() else 0.0
    return np.where(pairs, _scaled(cosine, least, 1.0), 0.0)


def _scaled(value: Float64Array, least: float, most: float) -> Float64Array:
    found: Float64Array = np.clip((value - least) / (most - least), 0, 1) if most > least else value * 0.0
    return found


def vectors_of(view: Snapshot, query: Float32Array, moments: Sequence[Moment]) -> Float32Array:
    """The stored vector of each moment's best row, float32 [moments, dim]; zeros of what has no row."""
    found = np.zeros((len(moments), len(query)), np.float32)
    for kind in sorted({moment.kind for moment in moments if moment.is_seen}):
        numbers = [n for n, moment in enumerate(moments) if moment.is_seen and moment.kind == kind]
        wanted = [moments[n] for n in numbers]
        ranges = [(m.source, m.best_start, np.nextafter(m.best_start, np.inf)) for m in wanted]
        for number, moment, (_, rows) in zip(numbers, wanted, view.within(kind, ranges), strict=True):
            if len(rows):  # several begin then: it is the one of that score
                found[number] = rows[np.abs(rows @ query - moment.score).argmin()]
    return found
