"""Of equal rows the first by source and time are answered, at a cost that has a bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.types import Float32Array, IntArray
from index import merge
from index.build import build_snapshot
from index.part import Bits, Part, Queries
from index.snapshot import Snapshot
from tests.index.test_snapshot import told
from tests.index.worlds import DIM, World, world


@pytest.fixture
def black(tmp_path: Path) -> World:
    """Every row is the same."""
    lived = world(tmp_path / "store")
    same = np.full((1, DIM), 0.5, np.float32)
    lived.vectors = lambda count: np.repeat(same, count, axis=0)  # type: ignore[method-assign]
    for _ in range(4):
        lived.add(40)
    return lived


@pytest.mark.parametrize("part_rows", [100, 1_000_000])
def test_more_equal_rows_than_are_told_apart_are_not_all_fetched(
    black: World, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(merge, "MOST_EQUAL", 50)
    monkeypatch.setattr(merge, "_EQUAL", 4)
    widths: list[int] = []
    best = Part.best

    def noted(
        part: Part, asked: Queries, bits: Bits | None, scores: Float32Array, positions: IntArray
    ) -> None:
        widths.append(scores.shape[1])
        best(part, asked, bits, scores, positions)

    monkeypatch.setattr(Part, "best", noted)
    number = build_snapshot(black.store, publish=False, part_rows=part_rows).number
    snapshot, queries = Snapshot.open(black.store, number), np.full((3, DIM), 0.5, np.float32)
    assert snapshot.rows["frame"] > 200
    for k, most in ((5, 50), (20, 80)):
        widths.clear()
        answers = [told(hits) for hits in snapshot.search("frame", queries, k)]
        assert max(widths) == most
        assert len(set(map(str, answers))) == 1
        assert len(answers[0]) == k
        again = Snapshot.open(black.store, number).search("frame", queries[:1], k)[0]
        assert told(again) == answers[0]


@pytest.mark.parametrize("part_rows", [100, 1_000_000])
def test_fewer_are_answered_in_order_of_source_and_time(black: World, part_rows: int) -> None:
    number = build_snapshot(black.store, publish=False, part_rows=part_rows).number
    query = np.full((1, DIM), 0.5, np.float32)
    for k in (1, 5, 40):
        hits = Snapshot.open(black.store, number).search("frame", query, k)[0]
        assert told(hits) == black.best("frame", query[0], k)
