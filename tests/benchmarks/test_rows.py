"""Made-up rows are the same ones however many are made, queries are for rows that are stored, and no store is
taken for what it is not."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from benchmarks import large
from benchmarks.large import filled
from benchmarks.rows import PROBES, Law, fill, make
from core.store import Store
from index import merge
from index.build import build_snapshot
from index.snapshot import Snapshot


def test_the_first_rows_of_more_are_the_same_rows() -> None:
    law = Law()
    few, (piece, rest) = next(law.rows(40)), law.rows(10_040)
    assert (piece[:40] == few).all()
    assert (next(law.rows(10_000, 10_000))[:40] == rest).all()


def test_a_query_is_for_its_own_row(tmp_path: Path) -> None:
    law = Law()
    store = make(tmp_path / "store", law)
    fill(store, law, 1_000)
    (shard,) = store.log.last().shards()
    rows = np.asarray(store.shard(shard).vectors("frame"), np.float32)
    scores = law.near(60, PROBES) @ rows.T
    assert (scores.argmax(axis=1) == PROBES + np.arange(60)).all()
    probes = store.probes()
    assert probes is not None and ((probes @ rows.T).argmax(axis=1) == np.arange(PROBES)).mean() > 0.99


def test_a_large_store_is_taken_again_only_where_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "TEXTS", 3)
    root, marker = tmp_path / "store", tmp_path / "store.json"
    filled(root, 600)
    filled(root, 600)
    with pytest.raises(SystemExit, match="remove both"):
        filled(root, 700)
    marker.unlink()
    with pytest.raises(SystemExit, match="was not made to its end"):
        filled(root, 600)
    build_snapshot(Store.open(root), publish=False)
    with pytest.raises(SystemExit, match="was not made to its end"):
        filled(root, 700)
    filled(root, 600)  # of before it was written down; its snapshot says that it is whole
    assert marker.exists()


@pytest.mark.usefixtures("unwatched")
def test_what_has_warmed_the_index_keeps_no_stored_row_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    root, law = tmp_path / "store", Law()
    fill(make(root, law), law, 600)
    build_snapshot(Store.open(root), publish=False, factories={"frame": "IVF2,SQ8"})
    queries = law.near(20, PROBES)
    held = Snapshot.open(Store.open(root), 1)
    assert held.parts[0].about.lossy
    held.search("frame", queries, 10)
    assert mapped_shards(root)
    del held
    large._warm(root, queries)
    gc.collect()
    assert not mapped_shards(root)


def mapped_shards(root: Path) -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if f"{root}/shards" in line]
