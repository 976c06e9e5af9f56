"""The effort that a build chooses finds enough of what was never asked; what finds less is not published."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import index.merge
from core.errors import SnapshotError
from core.log import Task
from core.query import Effort
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Kind, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index.build import build_snapshot, publish
from index.cli import main
from index.merge import best_rows
from index.recall import measure
from index.snapshot import Snapshot
from tests.index.worlds import source_id

DIM, ROWS, TEXTS, CENTRES = 24, 6_000, 400, 200
APART = 0.9  # how far texts lie from pictures


class Law:
    """Rows around centres; texts are like rows, and all to one side of them."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        fixed = np.random.default_rng(7)
        self.centres = unit(fixed.standard_normal((CENTRES, DIM)))
        self.aside = APART * unit(fixed.standard_normal(DIM))

    def noise(self, count: int) -> np.ndarray:
        return self.chance.standard_normal((count, DIM)) / np.sqrt(DIM)

    def rows(self, count: int) -> Float32Array:
        centre = self.centres[self.chance.integers(CENTRES, size=count)]
        return unit(centre + 0.9 * self.noise(count)).astype(np.float32)

    def texts(self, count: int) -> Float32Array:
        return unit(self.rows(count) + 0.6 * self.noise(count) + self.aside).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def add(store: Store, rows: Float32Array, first: int, kind: Kind = "frame") -> None:
    """A hundred rows a video, or a text each, in one commit."""
    writer = Writer(store)
    a_source = 100 if kind == "frame" else 1
    for number in range(0, len(rows), a_source):
        source = source_id(first + number // a_source, kind)
        mine = rows[number : number + a_source]
        segments = [Segment(source, float(i), i + 1.0, "a text" * (kind == "text")) for i in range(len(mine))]
        place = Place("films", source.encode(), "1")
        task = Task(place, store.log.last().number)
        writer.add(task, Source(source), {kind: (segments, mine)}, Facts(size=1))
    writer.commit()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("survey") / "store"
    store = Store.create(root, EncoderSpec("toy:rgb", DIM, Look(32)), Sampling())
    law = Law(0)
    add(store, law.rows(ROWS), 1)
    add(store, law.texts(TEXTS), 1, "text")
    return root


@pytest.fixture
def store(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(index.merge, "FEW_ROWS", 1_000)  # what has more rows is searched by lists
    return Store.open(Path(shutil.copytree(filled, tmp_path / "store")))


def made(store: Store, factory: str, wanted: float = 0.95, *, publish: bool = True) -> Snapshot:
    number = build_snapshot(
        store, part_rows=2_500, factories={"frame": factory}, wanted=wanted, publish=publish
    ).number
    return Snapshot.open(store, number)


def found(snapshot: Snapshot, queries: Float32Array, effort: Effort) -> float:
    """recall@10 by brute force, of queries that no build has seen."""
    held = snapshot.parts_of("frame")
    vectors = np.concatenate([part.part.vectors(part.live_positions()) for part in held])
    last = np.sort(queries @ vectors.T, axis=1)[:, -10]
    answers = best_rows(held, queries, 10, effort)
    good = [
        float(held[row.part].part.vectors(np.array([row.position]))[0] @ query) >= least - 1e-5
        for rows, query, least in zip(answers, queries, last, strict=True)
        for row in rows
    ]
    return float(np.mean(good))


@pytest.mark.parametrize("factory", ["IVF64,SQfp16", "IVF64,RaBitQ", "SQ4"])
def test_what_is_chosen_finds_enough_of_what_was_never_asked_and_half_of_it_does_not(
    store: Store, factory: str
) -> None:
    snapshot = made(store, factory)
    chosen, law = snapshot.effort("frame"), Law(1)
    unseen = {"rows": law.rows(300), "texts": law.texts(300)}
    assert all(found(snapshot, queries, chosen) >= 0.95 for queries in unseen.values())
    print(factory, chosen, {n: found(snapshot, q, chosen) for n, q in unseen.items()}, snapshot.held["recall"])
    halves = [replace(chosen, lists=chosen.lists // 2)] if chosen.lists > 1 else []
    halves += [replace(chosen, candidates=chosen.candidates // 2)] if chosen.candidates > 1 else []
    assert halves
    for half in halves:
        assert min(found(snapshot, queries, half) for queries in unseen.values()) < 0.95
    assert snapshot.held["recall"]["frame"]["10"] >= 0.95
    assert snapshot.held["recall"]["frame"]["10"] == min(
        each.recall[group]["10"]
        for kind, each in measure(snapshot).items()
        if kind == "frame"
        for group in each.recall
    )
