"""An exact search compares every live row, and is not led astray by an index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from core.query import Filter
from core.types import Float32Array, IntArray
from index.build import build_snapshot
from index.part import Part
from index.snapshot import Snapshot
from tests.index.worlds import DIM, World, lived_in


@pytest.fixture
def lived(tmp_path: Path) -> World:
    return lived_in(tmp_path / "store", steps=30)


@pytest.mark.parametrize("part_rows", [7, 1 << 20])
def test_it_answers_as_brute_force_with_equal_scores_in_order(
    lived: World, part_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.live._FIRST_ROWS", 5)
    monkeypatch.setattr("index.live._STEP_BYTES", 4 * DIM * 11)
    build_snapshot(lived.store, part_rows=part_rows)
    snapshot = Snapshot.open(lived.store)
    queries = lived.vectors(6)
    for kind in snapshot.rows:
        for k in (1, 4, 10_000):
            for query, hits in zip(queries, snapshot.search(kind, queries, k, exact=True), strict=True):
                pairs = zip(hits.scores.tolist(), hits.segments, strict=True)
                assert [(score, s.source, s.start, s.end) for score, s in pairs] == lived.best(kind, query, k)


def test_rows_are_read_once_however_many_ask(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    build_snapshot(lived.store)
    snapshot, read = Snapshot.open(lived.store), list[int]()
    vectors = Part.vectors

    def counted(part: Part, at: IntArray) -> Float32Array:
        read.append(len(at))
        return vectors(part, at)

    monkeypatch.setattr(Part, "vectors", counted)
    for asked in (1, 6):
        read.clear()
        snapshot.search("frame", lived.vectors(asked), 3, exact=True)
        assert sum(read) == sum(part.live for part in snapshot.parts if part.about.kind == "frame")


def test_it_looks_at_vectors_and_not_at_the_index(lived: World) -> None:
    build_snapshot(lived.store)
    whole = Snapshot.open(lived.store)
    wrong = faiss.IndexFlatIP(DIM)
    wrong.add(np.zeros((whole.parts[0].about.rows, DIM), np.float32))
    broken = replace(whole.parts[0], part=replace(whole.parts[0].part, index=wrong))
    snapshot = replace(whole, parts=(broken, *whole.parts[1:]))
    query, kind = lived.vectors(1), whole.parts[0].about.kind
    assert snapshot.search(kind, query, 5)[0].scores.tolist() == [0.0] * 5
    for filter in (None, Filter(hidden=frozenset([whole.sources.id(0)]))):
        found, told = (
            view.search(kind, query, 5, filter=filter, exact=exact)[0]
            for view, exact in ((snapshot, True), (whole, False))
        )
        assert list(found.segments) == list(told.segments)
        assert found.scores.tolist() == told.scores.tolist()
