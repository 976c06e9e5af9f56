"""An integer for each row of a snapshot, for those who can name rows by nothing else.

It says which snapshot it is of, so that one of an older snapshot is known for that and names no other row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, repeat

import numpy as np

from core.query import Hits, Segments
from core.types import Kind, Segment
from index.moments import Moment
from index.snapshot import Snapshot

_BITS = 33  # for the rows of a snapshot; with 20 more, for its number, what JavaScript holds exactly


def snapshot_of(number: int) -> int:
    """The snapshot whose row it is."""
    return number >> _BITS


def numbers_of(view: Snapshot, kind: Kind, hits: Hits, moments: Sequence[Moment]) -> Iterator[int]:
    """Of the best row of each moment. hits: as the snapshot found them, and moments were made of them."""
    if hits.part is None or hits.position is None:
        raise ValueError("these hits do not say where they lie")
    firsts, names = _firsts(view), [part.about.name for part in view.parts]
    of_kind = np.array([firsts[names.index(part.about.name)] for part in view.parts_of(kind)])
    rows = Segments.of(hits.segments)
    held: dict[tuple[str, float, float, str], int] = {}
    # Lines of two tracks of a video may begin and end together.
    keys = zip(rows.source, rows.start.tolist(), rows.end.tolist(), rows.text or repeat(""), strict=False)
    for key, number in zip(keys, (of_kind[hits.part] + hits.position).tolist(), strict=True):
        held.setdefault(key, number)
    for moment in moments:
        key = (moment.source, moment.best_start, moment.best_end, moment.text)
        yield view.number << _BITS | held[key]


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
