"""Rows of a source in order of time, and scores along them."""

from __future__ import annotations

import numpy as np
import pytest

from index import timeline
from index.snapshot import Snapshot
from index.timeline import Timeline
from tests.server.worlds import id_of, samples, vector


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return Snapshot.open(samples(tmp_path_factory.mktemp("timeline") / "data").store)


def test_scores_are_inner_products_in_order_of_time(view: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "_AT_ONCE", 5)
    source, queries = id_of("red-then-blue"), np.stack([vector("red"), vector("blue")])
    rows, vectors = view.vectors(source, "frame")
    found = Timeline.of(view, source, "frame")
    assert found.start.tolist() == [row.start for row in rows]
    assert found.end.tolist() == [row.end for row in rows]
    assert np.array_equal(found.scores(queries), queries @ vectors.T)
    assert [len(each) for each in found.vectors()] == [5, 5, 5, 5, 4]


@pytest.mark.parametrize(
    ("start", "end", "first", "count"), [(3.0, 6.0, 3, 3), (3.5, 6.5, 3, 4), (30, 40, 0, 0)]
)
def test_a_range_has_the_rows_that_reach_into_it(
    view: Snapshot, start: float, end: float, first: int, count: int
) -> None:
    found = Timeline.of(view, id_of("red-then-blue"), "frame", start, end)
    assert found.start.tolist() == [*range(first, first + count)]
    assert found.scores(vector("red")[None]).shape == (1, count)


def test_what_is_not_there_has_no_rows(view: Snapshot) -> None:
    removed = view.masked([id_of("green")])
    for snapshot, source in ((view, "v-none"), (removed, id_of("green"))):
        assert len(Timeline.of(snapshot, source, "frame")) == 0


def test_a_library_text_has_its_row(view: Snapshot) -> None:
    assert len(Timeline.of(view, id_of("a red thing", "t"), "text")) == 1
