"""recall is measured against the stored rows, and not assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from core.log import Task
from core.query import Effort
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Float64Array, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index import faissfile
from index.build import build, build_snapshot
from index.exact import every_row
from index.merge import best_rows
from index.recall import measure, shortfall, to_json, worst
from index.snapshot import Snapshot, folder_of, read_manifest
from index.trial import tried
from tests.index.worlds import DIM, lived_in, source_id, world


def test_flat_parts_find_everything_and_the_manifest_says_so(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store", steps=30)
    number = build_snapshot(lived.store, part_rows=11).number
    snapshot = Snapshot.open(lived.store)
    measured = measure(snapshot)
    assert set(measured) == set(snapshot.rows)
    for kind, each in measured.items():
        assert set(each.recall) == ({"rows"} if kind == "text" else {"rows", "texts"})
        assert all(share == 1.0 for of_group in each.recall.values() for share in of_group.values())
        assert 0 < each.latency_ms["p50"] <= each.latency_ms["p99"]
        assert each.effort == snapshot.effort(kind) == Effort()
    held = read_manifest(folder_of(lived.store.root, number))
    told = to_json(measured)
    assert {name: held[name] for name in ("recall", "recall_texts")} == {
        name: told[name] for name in ("recall", "recall_texts")
    }
    assert set(held["latency_ms"]) == set(snapshot.rows) == set(held["effort"])
    assert held["recall_wanted"] == 0.95


def test_an_index_that_holds_other_vectors_than_the_store_is_found_out(tmp_path: Path) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(60)
    build(lived.store)
    snapshot = Snapshot.open(lived.store)
    wrong = faiss.IndexFlatIP(DIM)
    wrong.add(lived.vectors(snapshot.parts[0].about.rows))
    first = replace(snapshot.parts[0], part=replace(snapshot.parts[0].part, index=wrong))
    measured = measure(replace(snapshot, parts=(first, *snapshot.parts[1:])))
    recall = {kind: each.worse for kind, each in measured.items()}
    assert recall["frame"]["10"] < 0.5
    assert recall["clip"]["10"] == 1.0
    assert worst(recall) == recall["frame"]["10"]
    assert shortfall(recall, 0.95) == f"{worst(recall):.3f} of the ten best frame rows, less than 0.95"


def test_a_single_row_finds_nothing_but_itself_and_that_is_no_failure(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(1, "text")
    build(lived.store)
    (measured,) = measure(Snapshot.open(lived.store)).values()
    assert measured.worse == {"1": 1.0, "10": 1.0, "100": 1.0}
    assert np.isfinite(worst({}))
    assert shortfall({}, 0.95) == ""


DIM_OF_MANY = 24
SPREAD = 0.9 / np.sqrt(DIM_OF_MANY)


def overlapping(root: Path, every_s: float, scale: float = 1.0) -> tuple[Store, Float32Array]:
    """2,400 rows of 8 s, forty a source, and the probes; the vectors are the same at any step."""
    chance = np.random.default_rng(0)
    centres = unit(chance.standard_normal((150, DIM_OF_MANY)))
    noise = SPREAD * chance.standard_normal((60, 40, DIM_OF_MANY))
    rows = scale * unit(centres[chance.choice(150, (60, 40))] + noise).astype(np.float32)
    probes = rows.reshape(-1, DIM_OF_MANY)[chance.permutation(2_400)[:128]]
    aside = scale * chance.standard_normal(probes.shape) * SPREAD
    probes = (probes + 0.7 * aside).astype(np.float32)
    store = Store.create(root, EncoderSpec("toy:rgb", DIM_OF_MANY, Look(32)), Sampling(), probes)
    writer = Writer(store)
    for number, vectors in enumerate(rows):
        source = source_id(number + 1)
        segments = [Segment(source, i * every_s, i * every_s + 8.0) for i in range(len(vectors))]
        task = Task(Place("films", source.encode(), "1"), store.log.last().number)
        writer.add(task, Source(source), {"frame": (segments, vectors)}, Facts(size=1))
    writer.commit()
    return store, probes


def unit(vectors: Float64Array) -> Float64Array:
    found: Float64Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def made(store: Store, factory: str) -> Snapshot:
    return Snapshot.open(store, build_snapshot(store, publish=False, factories={"frame": factory}).number)


def real(snapshot: Snapshot, queries: Float32Array, k: int) -> float:
    """Of plain searches for k rows, as everybody makes them."""
    held = snapshot.parts_of("frame")
    answers = best_rows(held, queries, k, snapshot.effort("frame"))
    shares = []
    for found, every in zip(answers, every_row(held, queries, k), strict=True):
        least = every[-1].score * (1 - 1e-5)
        shares.append(sum(row.score >= least for row in found) / k)
    return float(np.mean(shares))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are, they are searched as many would be."""
    monkeypatch.setattr("index.merge.FEW_ROWS", 0)
    monkeypatch.setattr("index.survey.SAMPLE", 128)


def test_rows_that_overlap_make_no_search_a_larger_one(tmp_path: Path, many: None) -> None:
    told = {}
    for every_s in (8.0, 1.0):
        store, probes = overlapping(tmp_path / f"{every_s:g}", every_s)
        snapshot = made(store, "SQ4")
        for k in (1, 10, 100):
            is_told = snapshot.held["recall_texts"]["frame"][str(k)]
            assert is_told == pytest.approx(real(snapshot, probes, k), abs=0.004)
        one = {"effort": {"frame": {"lists": 0, "candidates": 1}}}
        told[every_s] = measure(replace(snapshot, held={**snapshot.held, **one}), 128)["frame"].recall["rows"]
    # At one effort rows find as much whether few or many beside them say nothing.
    assert told[1.0]["10"] == pytest.approx(told[8.0]["10"], abs=0.015)


@pytest.mark.parametrize("scale", [0.003, 300.0])
def test_the_length_of_vectors_changes_neither_the_effort_nor_what_is_told(
    tmp_path: Path, many: None, scale: float
) -> None:
    plain, scaled = (made(overlapping(tmp_path / str(by), 4.0, by)[0], "IVF32,Flat") for by in (1.0, scale))
    lists, others = (each.effort("frame").lists for each in (plain, scaled))
    assert lists > 1 and abs(others - lists) <= 1
    assert scaled.held["recall"]["frame"]["10"] == pytest.approx(
        plain.held["recall"]["frame"]["10"], abs=0.02
    )


def test_what_is_told_of_codes_of_short_vectors_is_what_they_find(tmp_path: Path, many: None) -> None:
    store, probes = overlapping(tmp_path / "store", 4.0, 0.003)
    snapshot = made(store, "IVF32,SQ4")
    told = snapshot.held["recall_texts"]["frame"]["10"]
    assert told == pytest.approx(real(snapshot, probes, 10), abs=0.004)


@pytest.mark.parametrize("scale", [0.003, 1.0, 300.0])
def test_codes_lose_something_or_nothing_whatever_the_length_of_vectors(tmp_path: Path, scale: float) -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((400, 32)))
    rows = (scale * vectors).astype(np.float16).astype(np.float32)
    for factory, is_lossy in (("SQfp16", False), ("SQ8", True), ("IVF4,SQ8", True)):
        trained = faiss.index_factory(32, factory, faiss.METRIC_INNER_PRODUCT)
        trained.train(rows)
        faissfile.write(trained, tmp_path / "faiss")
        assert tried(factory, rows, tmp_path).is_lossy == is_lossy


@pytest.mark.parametrize("factory", ["SQ4", "IVF1,SQ4"])
def test_where_every_row_shares_its_seconds_a_build_finds_nothing_and_nothing_is_missed(
    tmp_path: Path, many: None, factory: str
) -> None:
    """Of lossy codes what is found is scored again, and here all of it is left out."""
    store = Store.create(tmp_path / "store", EncoderSpec("toy:rgb", DIM_OF_MANY, Look(32)), Sampling())
    writer, source = Writer(store), source_id(1)
    vectors = unit(np.random.default_rng(0).standard_normal((50, DIM_OF_MANY))).astype(np.float32)
    task = Task(Place("films", source.encode(), "1"), store.log.last().number)
    writer.add(task, Source(source), {"frame": ([Segment(source, 0.0, 8.0)] * 50, vectors)}, Facts(size=1))
    writer.commit()
    snapshot = made(store, factory)
    assert snapshot.held["recall"]["frame"]["10"] == 1.0
