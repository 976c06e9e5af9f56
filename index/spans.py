"""Which rows of a source touch, or nearly: as columns, since a search makes hundreds that nobody looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.query import Segments
from core.types import Float32Array, Float64Array, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Of each where it begins and ends, the number of its best row, and how many rows it has."""

    start: Float64Array
    end: Float64Array
    best: IntArray
    rows: IntArray

    @classmethod
    def alone(cls, rows: Segments) -> Spans:
        """One of each row."""
        return cls(rows.start, rows.end, np.arange(len(rows)), np.ones(len(rows), np.int64))

    @classmethod
    def of_all(cls, some: Sequence[Spans]) -> Spans:
        """One behind the other; there is one at least."""
        if len(some) == 1:
            return some[0]
        columns = ("start", "end", "best", "rows")
        return cls(*(np.concatenate([getattr(each, name) for each in some]) for name in columns))

    def __len__(self) -> int:
        return len(self.best)

    def at(self, numbers: IntArray | slice) -> Spans:
        """Some of them."""
        return Spans(self.start[numbers], self.end[numbers], self.best[numbers], self.rows[numbers])


def in_order(source: IntArray, rows: Segments) -> IntArray:
    """Rows source by source in order of time. source: a number for each."""
    found: IntArray = np.lexsort((rows.end, rows.start, source))
    return found


def joined(source: IntArray, rows: Segments, scores: Float32Array, order: IntArray, gap_s: float) -> Spans:
    """The spans of all or some of these rows, which come in order."""
    which, start, end = source[order], rows.start[order], rows.end[order]
    # How far the rows of a source reach up to here: complex numbers are compared by the real part, then by
    # the imaginary one. What is of a span before this one does no harm: it did not reach this one's first
    # row, and so none behind that.
    reach = np.empty(len(order), np.complex128)
    reach.real, reach.imag = which, end
    behind = np.maximum.accumulate(reach).imag[:-1]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (which[1:] != which[:-1]) | ~(start[1:] - behind <= gap_s)
    firsts = np.flatnonzero(is_first)
    if len(firsts) == len(order):
        return Spans(start, end, order, np.ones(len(order), np.int64))
    # Of equal scores the first: lexsort is stable.
    best = np.lexsort((-scores[order], np.cumsum(is_first)))[firsts]
    counts = np.append(firsts[1:], len(order)) - firsts
    return Spans(start[firsts], np.maximum.reduceat(end, firsts), order[best], counts)
