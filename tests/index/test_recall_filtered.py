"""An approximate index finds under every filter what it finds without one, for vectors of any length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from core.log import Task
from core.query import Effort
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index import merge
from index.build import build_snapshot
from index.live import LivePart, pack
from index.merge import best_rows
from index.part import exact
from index.snapshot import Snapshot

DIM, SOURCES, ROWS = 32, 120, 100
QUERIES, K = 24, 10


@dataclass(frozen=True)
class Clustered:
    """A store, its vectors in the order of its rows, and queries."""

    store: Store
    queries: Float32Array


def _filled(root: Path, lengths: Callable[[np.random.Generator, int], Float32Array]) -> Clustered:
    """Rows around 60 centres; their lengths are as given."""
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((60, DIM))
    store = Store.create(root, EncoderSpec("toy:rgb", DIM, Look(32)), Sampling(), None)
    writer = Writer(store)
    for number in range(SOURCES):
        rows = centres[chance.integers(0, 60, ROWS)] + 0.7 * chance.standard_normal((ROWS, DIM))
        rows *= lengths(chance, ROWS)[:, None] / np.linalg.norm(rows, axis=1, keepdims=True)
        source = f"v-{number:032x}"
        segments = [Segment(source, float(i), float(i + 1)) for i in range(ROWS)]
        task = Task(Place("films", source.encode(), "1"), store.log.last().number)
        facts = Facts(size=number, codec="h264")
        writer.add(task, Source(source), {"frame": (segments, rows.astype(np.float32))}, facts)
    writer.commit()
    asked = centres[chance.integers(0, 60, QUERIES)] + chance.standard_normal((QUERIES, DIM))
    return Clustered(store, asked.astype(np.float32))


def equal(chance: np.random.Generator, count: int) -> Float32Array:
    return np.ones(count, np.float32)


def varied(chance: np.random.Generator, count: int) -> Float32Array:
    return chance.lognormal(0, 0.5, count).astype(np.float32)


def kept_by(parts: list[LivePart], share: float) -> list[LivePart]:
    """Some of the rows, drawn one by one."""
    chance = np.random.default_rng(1)
    found = []
    for part in parts:
        bits = pack(chance.random(part.about.rows) < share) & part.bits
        found.append(replace(part, bits=bits, live=int(np.unpackbits(bits).sum())))
    return found


def recall(held: Clustered, parts: list[LivePart], effort: Effort) -> float:
    """The share of the true ten that is found."""
    live = [(part, part.live_positions()) for part in parts]
    vectors = np.concatenate([exact(held.store, part.part, positions) for part, positions in live])
    true = -np.sort(-(held.queries @ vectors.T), axis=1)[:, :K]
    found = best_rows(parts, held.queries, K, effort)
    pairs = zip(found, true, strict=True)
    good = [sum(row.score >= last[-1] - 1e-4 for row in rows) / len(last) for rows, last in pairs]
    return float(np.mean(good))


@pytest.mark.parametrize("lengths", [equal, varied])
@pytest.mark.parametrize("factory", ["IVF64,SQfp16", "IVF64,SQ8", "IVF64,RaBitQ4"])
@pytest.mark.parametrize("few", [0, merge.FEW_ROWS])
def test_recall_holds_whatever_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    factory: str,
    lengths: Callable[[np.random.Generator, int], Float32Array],
    few: int,
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", few)
    held = _filled(tmp_path / "store", lengths)
    build_snapshot(held.store, publish=False, part_rows=5_000, factories={"frame": factory})
    parts = list(Snapshot.open(held.store, 1).parts)
    assert len(parts) == 3
    enough = (Effort(lists, 8) for lists in (2, 4, 8, 16, 32))
    effort = next(each for each in enough if recall(held, parts, each) >= 0.95)
    assert effort.lists <= 16
    for share in (0.5, 0.01, 0.001):
        assert recall(held, kept_by(parts, share), effort) >= 0.93
    assert recall(held, [part.only([7]) for part in parts], effort) >= 0.93


def test_without_more_lists_a_filter_would_cost_recall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    monkeypatch.setattr(merge, "lists_for", lambda parts, count, k, effort: effort.lists or count)
    held = _filled(tmp_path / "store", equal)
    build_snapshot(held.store, publish=False, factories={"frame": "IVF64,SQfp16"})
    parts = list(Snapshot.open(held.store, 1).parts)
    assert recall(held, kept_by(parts, 0.02), Effort(4)) < 0.8
