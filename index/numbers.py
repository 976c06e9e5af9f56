"""An integer for each row of a snapshot, for those who can name rows by nothing else.

It says which snapshot it is of, so that one of an older snapshot is known for that and names no other row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from core.types import Kind, Segment
from index.moments import Moment
from index.snapshot import Snapshot

_BITS = 33  # for the rows of a snapshot; with 20 more, for its number, what JavaScript holds exactly


def snapshot_of(number: int) -> int:
    """The snapshot whose row it is."""
    return number >> _BITS


def numbers_of(view: Snapshot, kind: Kind, moments: Sequence[Moment]) -> Iterator[int]:
    """Of the best row of each moment."""
    firsts = _firsts(view)
    at = {part.about.name: number for number, part in enumerate(view.parts)}
    held = {
        source: [
            (at[part.about.name], positions, part.part.rows[positions])
            for part, positions in view.reaching(source, kind)
        ]
        for source in {moment.source for moment in moments}
    }
    for moment in moments:
        part, position = next(
            (part, position)
            for part, positions, rows in held[moment.source]
            for position in positions[
                (rows["start"] == moment.best_start) & (rows["end"] == moment.best_end)
            ].tolist()
            if kind != "text" or _says(view, part, position, moment.text)
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


def _says(view: Snapshot, part: int, position: int, text: str) -> bool:
    """Lines of two tracks of a video may begin and end together."""
    row = view.at(part, position)
    return row is not None and row[1].text == text
