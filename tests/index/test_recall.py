"""recall is measured against the stored rows, and not assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from index.build import build, build_snapshot
from index.recall import measure, worst
from index.snapshot import Snapshot, folder_of, read_manifest
from tests.index.worlds import DIM, lived_in, world


def test_flat_parts_find_everything_and_the_manifest_says_so(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store", steps=30)
    number = build_snapshot(lived.store, part_rows=11).number
    snapshot = Snapshot.open(lived.store)
    measured = measure(snapshot)
    assert set(measured) == set(snapshot.rows)
    assert all(share == 1.0 for of_kind in measured.values() for share in of_kind.values())
    assert read_manifest(folder_of(lived.store.root, number))["recall"] == measured


def test_an_index_that_holds_other_vectors_than_the_store_is_found_out(tmp_path: Path) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(60)
    build(lived.store)
    snapshot = Snapshot.open(lived.store)
    wrong = faiss.IndexFlatIP(DIM)
    wrong.add(lived.vectors(snapshot.parts[0].about.rows))
    first = replace(snapshot.parts[0], part=replace(snapshot.parts[0].part, index=wrong))
    measured = measure(replace(snapshot, parts=(first, *snapshot.parts[1:])))
    assert measured["frame"]["10"] < 0.5
    assert measured["clip"]["10"] == 1.0
    assert worst(measured) == measured["frame"]["10"]


def test_a_single_row_finds_nothing_but_itself_and_that_is_no_failure(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(1, "text")
    build(lived.store)
    assert measure(Snapshot.open(lived.store)) == {"text": {"1": 1.0, "10": 1.0, "100": 1.0}}
    assert np.isfinite(worst({}))
