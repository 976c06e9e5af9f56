"""Rows by numbers, for clients that know nothing else."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from core.query import Hits
from core.types import KINDS, Kind
from index.moments import Moment
from index.numbers import numbers_of, row_of, snapshot_of
from index.snapshot import Snapshot
from tests.server.worlds import Shelf, id_of


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two parts of each kind of rows of videos."""
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"one": [("red", 12)], "two": [("blue", 20)]}, ["a red thing", "a blue thing"])
    shelf.build()
    shelf.add({"three": [("green", 16)]})
    shelf.build()
    return shelf


def every_row(view: Snapshot, kind: Kind) -> tuple[Hits, list[Moment]]:
    """As they are found, and each as a moment."""
    (hits,) = view.search(kind, np.ones((1, view.store.spec.dim), np.float32), 1_000)
    return hits, [Moment(r.source, kind, r.start, r.end, 0.0, r.start, r.end, r.text) for r in hits.segments]


def test_each_row_has_a_number_of_its_own_that_leads_back_to_it(shelf: Shelf) -> None:
    view = Snapshot.open(shelf.store)
    seen = set()
    for kind in KINDS:
        hits, every = every_row(view, kind)
        assert len(every) == view.rows[kind]
        for moment, number in zip(every, numbers_of(view, kind, hits, every), strict=True):
            found = row_of(view, number)
            assert found is not None
            assert (found[0], found[1].source, found[1].start, found[1].end, found[1].text) == (
                *(kind, moment.source, moment.start, moment.end, moment.text),
            )
            assert snapshot_of(number) == view.number
            assert number < 2**53
            seen.add(number)
    assert len(seen) == sum(view.rows.values())


def test_numbers_stay_when_a_video_is_removed_and_its_own_name_nothing(shelf: Shelf) -> None:
    view = Snapshot.open(shelf.store)
    hits, every = every_row(view, "clip")
    before = dict(zip(every, numbers_of(view, "clip", hits, every), strict=True))
    less = view.masked([id_of("one")])
    hits, left = every_row(less, "clip")
    assert 0 < len(left) < len(every)
    assert dict(zip(left, numbers_of(less, "clip", hits, left), strict=True)) == {m: before[m] for m in left}
    assert {row_of(less, before[m]) for m in every if m.source == id_of("one")} == {None}


def test_what_is_behind_the_last_row_names_nothing(shelf: Shelf) -> None:
    view = Snapshot.open(shelf.store)
    number = max(chain.from_iterable(numbers_of(view, kind, *every_row(view, kind)) for kind in KINDS))
    assert row_of(view, number) is not None
    assert row_of(view, number + 1) is None
