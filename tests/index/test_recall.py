"""recall is measured against the stored rows, and not assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from core.query import Effort
from index.build import build, build_snapshot
from index.recall import measure, shortfall, to_json, worst
from index.snapshot import Snapshot, folder_of, read_manifest
from tests.index.worlds import DIM, lived_in, world


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
