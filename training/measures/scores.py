"""From vectors to figures. Whatever scores as high as what is right counts as if it stood before it, so that
an encoder to which all is alike finds nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.types import Float32Array, IntArray

Bits = NDArray[np.bool_]


def told(scores: Float32Array, right: Sequence[int] | IntArray) -> float:
    """The share of rows [n, choices] whose right choice is above all others."""
    return float(is_told(scores, right).mean())


def is_told(scores: Float32Array, right: Sequence[int] | IntArray) -> Bits:
    """For each row, whether."""
    own = np.take_along_axis(scores, np.asarray(right)[:, None], axis=1)
    return np.asarray((scores >= own).sum(axis=1) == 1)


def any_among(scores: Float32Array, right: Sequence[Sequence[int]], first: int = 10) -> float:
    """The share of rows of which one of the right ones is among the first so many."""
    found = []
    for row, held in zip(scores, right, strict=True):
        wrong = np.delete(row, list(held))
        found.append((wrong >= row[list(held)].max()).sum() < first)
    return float(np.mean(found))


def precision(scores: Float32Array, right: Sequence[int], first: int = 10) -> float:
    """How many of the first so many are right, of one row; of equal ones the wrong ones come first."""
    is_right = np.zeros(len(scores), bool)
    is_right[list(right)] = True
    order = np.lexsort((is_right, -scores))
    return float(is_right[order[:first]].mean())


def auc(above: Float32Array, below: Float32Array) -> float:
    """How often one of the first is greater than one of the others; equal ones are half."""
    held = np.sort(below)
    less, not_more = np.searchsorted(held, above, "left"), np.searchsorted(held, above, "right")
    return float((less + not_more).mean() / 2 / len(held))


def sense(forth: Float32Array, back: Float32Array, text: Float32Array, other: Float32Array) -> float:
    """Of n clips and the same backwards, each with a text of its own: how often a text chooses its own clip
    of the two. Equal scores are half."""
    right = np.concatenate([(text * forth).sum(axis=1), (other * back).sum(axis=1)])
    wrong = np.concatenate([(text * back).sum(axis=1), (other * forth).sum(axis=1)])
    return float(((right > wrong) + 0.5 * (right == wrong)).mean())


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """What two spans share, of what they cover together."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))


def first_is_right(
    scores: Float32Array, spans: Sequence[tuple[float, float]], right: tuple[float, float], least: float = 0.5
) -> bool:
    """Whether the span that scores highest is the right one, or overlaps with it by that much."""
    is_right = np.array([overlap(span, right) >= least for span in spans])
    return bool(scores[is_right].max(initial=-np.inf) > scores[~is_right].max(initial=-np.inf))


def numbered(names: Sequence[str], values: Sequence[str]) -> IntArray:
    """Which of the names each value is."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[value] for value in values], np.int64)
