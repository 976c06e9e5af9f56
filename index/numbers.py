"""An integer for each row of a snapshot, for those who can name rows by nothing else.

It says which snapshot it is of, so that one of an older snapshot is known for that and names no other row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from core.types import Float64Array, IntArray, Kind, Segment
from index.moments import Moment
from index.snapshot import Snapshot

_BITS = 33  # for the rows of a snapshot; with 20 more, for its number, what JavaScript holds exactly


def snapshot_of(number: int) -> int:
    """The snapshot whose row it is."""
    return number >> _BITS


def numbers_of(view: Snapshot, kind: Kind, moments: Sequence[Moment]) -> Iterator[int]:
    """Of the best row of each moment."""
    firsts = _firsts(view)
    held = {source: _Rows.of(view, source, kind) for source in {moment.source for moment in moments}}
    for moment in moments:
        part, position = next(
            (part, position)
            for rows in held[moment.source]
            for part, position in rows.at(moment.best_start, moment.best_end)
            # Lines of two tracks of a video may begin and end together.
            if kind != "text" or _text(view, part, position) == moment.text
        )
        yield view.number << _BITS | firsts[part] + position


def row_of(view: Snapshot, number: int) -> tuple[Kind, Segment] | None:
    """The row of a number of this very snapshot; None where there is none, or it lives no more."""
    firsts, row = _firsts(view), number & ((1 << _BITS) - 1)
    if not 0 <= row < firsts[-1]:
        return None
    part = bisect_right(firsts, row) - 1
    return view.at(part, row - firsts[part])


def _firsts(view: Snapshot) -> list[int]:
    """What the first row of each part is called, and behind them how many rows there are."""
    return [*accumulate((part.about.rows for part in view.parts), initial=0)]


def _text(view: Snapshot, part: int, position: int) -> str:
    row = view.at(part, position)
    return row[1].text if row else ""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a source in one part, by when they begin."""

    part: int
    positions: IntArray
    start: Float64Array
    end: Float64Array

    @classmethod
    def of(cls, view: Snapshot, source: str, kind: Kind) -> list[_Rows]:
        numbers = {part.about.name: number for number, part in enumerate(view.parts)}
        found = []
        for part, positions in view.reaching(source, kind):
            rows = part.part.rows[positions]
            order = np.argsort(rows["start"], kind="stable")
            found.append(
                cls(numbers[part.about.name], positions[order], rows["start"][order], rows["end"][order])
            )
        return found

    def at(self, start: float, end: float) -> Iterator[tuple[int, int]]:
        """The part and the position of each that begins and ends then."""
        first, behind = self.start.searchsorted(start), self.start.searchsorted(start, "right")
        for number in range(int(first), int(behind)):
            if self.end[number] == end:
                yield self.part, int(self.positions[number])
