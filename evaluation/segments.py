"""How well seconds are sorted by labels (COIN), and steps found in time (CrossTask)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor

import numpy as np

from core.types import IntArray

NONE = 0  # of a second that no label is about


def targets(segments: Iterable[tuple[float, float, int]], seconds: int) -> IntArray:
    """The label of each second, from `start, end, label`: of all seconds that a segment reaches into. Of two
    in one second the later one counts."""
    found = np.full(seconds, NONE, np.int64)
    for start, end, label in segments:
        found[floor(start) : ceil(end)] = label
    return found


def accuracy(found: IntArray, right: IntArray) -> float:
    """The share of seconds that have the right label, those without one among them."""
    return float((found == right).mean())


def recall(at: Sequence[int], segments: Iterable[tuple[float, float, int]]) -> float:
    """The share of the steps there are, by their number, whose second lies in a segment of theirs."""
    held: dict[int, bool] = {}
    for start, end, step in segments:
        held[step] = held.get(step, False) or floor(start) <= at[step] < ceil(end)
    return sum(held.values()) / len(held) if held else 0.0
