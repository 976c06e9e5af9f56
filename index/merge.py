"""The best rows of several parts: the same, whatever way the rows are cut into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.query import Effort
from core.types import Float32Array, IntArray
from index.live import LivePart
from index.part import Found


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was found."""

    score: float
    line: int  # its source's, in sources.arrow
    start: float
    end: float
    part: int  # which of those searched
    position: int


_ALL = Effort()


def best_rows(
    parts: Sequence[LivePart], queries: Float32Array, k: int, effort: Effort = _ALL
) -> list[list[Row]]:
    """The k best live rows of each query, best first; equal scores by source, then time."""
    # One more than asked, to see whether the cut goes through rows of one score.
    found = [part.part.best(queries, k + 1, part.bits) for part in parts]
    return [_best(parts, query, k, [each[number] for each in found]) for number, query in enumerate(queries)]


def _best(parts: Sequence[LivePart], query: Float32Array, k: int, found: list[Found]) -> list[Row]:
    scores = np.concatenate([np.empty(0, np.float32), *(each.scores for each in found)])
    if len(scores) > k:
        last = np.partition(scores, len(scores) - k)[-k]
        found = [
            part.part.at_least(query, last, part.bits) if _is_cut(each, k, last) else each
            for part, each in zip(parts, found, strict=True)
        ]
    return ordered(parts, found, k)


def _is_cut(found: Found, k: int, last: np.float32) -> bool:
    """Whether a part may have more rows of the last score than it gave: which ones it gave is its whim."""
    return len(found.scores) > k and bool(found.scores.min() >= last)


def ordered(parts: Sequence[LivePart], found: Sequence[Found], k: int) -> list[Row]:
    pairs = enumerate(zip(parts, found, strict=True))
    columns = [_identified(number, part, each) for number, (part, each) in pairs]
    if not columns:
        return []
    joined = (np.concatenate(each) for each in zip(*columns, strict=True))
    score, line, start, end, row, number, position = joined
    order = np.lexsort((row, end, start, line, -score))[:k]
    picked = (each[order].tolist() for each in (score, line, start, end, number, position))
    return [Row(*values) for values in zip(*picked, strict=True)]


def _identified(number: int, part: LivePart, found: Found) -> tuple[Float32Array | IntArray, ...]:
    records = part.part.rows[found.positions]
    return (
        found.scores,
        part.lines(records),
        records["start"],
        records["end"],
        records["row"],
        np.full(len(records), number),
        found.positions,
    )
