from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import files
from core.errors import StoreError
from core.store import Store, store_slug
from core.types import Sampling
from tests.core import stores
from tests.extractor.shelf import as_nobody


def test_a_store_opens_as_it_was_made(tmp_path: Path) -> None:
    made = stores.make(tmp_path / "s", sampling=Sampling(fps=2.0))
    opened = Store.open(tmp_path / "s")
    assert opened.spec.fingerprint == made.spec.fingerprint
    assert opened.sampling == Sampling(fps=2.0)
    probes = opened.probes()
    assert probes is not None and probes.shape == (3, stores.DIM)


def test_making_a_store_twice_opens_it(tmp_path: Path) -> None:
    first = stores.make(tmp_path / "s")
    stores.fill(first, [1])
    assert stores.live_numbers(stores.make(tmp_path / "s")) == [1]


def test_a_store_of_another_encoder_is_refused_by_both_names(tmp_path: Path) -> None:
    stores.make(tmp_path / "s")
    other = replace(stores.SPEC, name="open_clip:ViT-B-32", dim=512)
    with pytest.raises(
        StoreError, match=r"holds vectors of toy:rgb \(\w+\), not of open_clip:ViT-B-32 \(\w+\)"
    ):
        stores.make(tmp_path / "s", other)


def test_a_store_of_other_weights_is_refused_by_both_and_says_what_to_do(tmp_path: Path) -> None:
    spec = replace(stores.SPEC, name="starter", weights="a" * 32)
    stores.make(tmp_path / "s", spec)
    with pytest.raises(StoreError, match=r"of starter with the weights a{32}, not b{32}: name another"):
        stores.make(tmp_path / "s", replace(spec, weights="b" * 32))


def test_a_store_of_another_sampling_is_refused_by_what_differs(tmp_path: Path) -> None:
    stores.make(tmp_path / "s")
    with pytest.raises(StoreError, match=r"sampled with fps 1\.0, not 2\.0"):
        stores.make(tmp_path / "s", sampling=Sampling(fps=2.0))


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    stores.make(tmp_path / "s")
    held = files.read_sealed(tmp_path / "s" / "store.json") | {"format": 2}
    (tmp_path / "s" / "store.json").write_text(files.sealed(held))
    with pytest.raises(StoreError, match="format 2; this version reads format 1"):
        Store.open(tmp_path / "s")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file"):
        Store.open(tmp_path / "file")
    with pytest.raises(StoreError, match=r"has no store\.json"):
        Store.open(tmp_path)


def test_probes_left_by_a_crash_of_another_encoder_are_replaced(tmp_path: Path) -> None:
    Store.create(tmp_path / "s", replace(stores.SPEC, dim=7), Sampling(), np.ones((2, 7), np.float32))
    (tmp_path / "s" / "store.json").unlink()
    probes = stores.make(tmp_path / "s").probes()
    assert probes is not None and probes.shape == (3, stores.DIM)


@pytest.mark.parametrize("keep", [0, 5, 100, 150])
def test_damaged_probes_are_one_sentence(keep: int, tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    path = store.root / "probes.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match=r"probes\.npy is damaged"):
        store.probes()


def test_a_folder_that_may_not_be_read_is_one_sentence(tmp_path: Path) -> None:
    stores.make(tmp_path / "s")
    (tmp_path / "s").chmod(0)
    with as_nobody(), pytest.raises(StoreError, match="cannot be read: Permission denied"):
        Store.open(tmp_path / "s")
    (tmp_path / "s").chmod(0o755)


def test_a_flipped_byte_in_any_file_of_a_shard_is_found(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    shard = next(iter(store.log.last().shards()))
    folder = store.root / "shards" / shard
    assert store.shard(shard).damage() == []
    for path in sorted(folder.iterdir()):
        good = path.read_bytes()
        for at in {0, len(good) // 2, len(good) - 1}:
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            assert store.shard(shard).damage(), f"{path.name} byte {at}"
        path.write_bytes(good)


def test_vectors_and_rows_belong_together(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [3])
    shard = store.shard(next(iter(store.log.last().shards())))
    rows = shard.rows("frame")
    assert (shard.count("frame"), shard.count("clip"), shard.count("text")) == (2, 1, 0)
    assert rows.start.tolist() == [0.0, 1.0] and rows.end.tolist() == [1.0, 2.0]
    assert shard.vectors("frame").dtype == np.float16
    assert shard.sources["id"].to_pylist() == [stores.source_id(3)]


def test_slugs_are_the_whole_name() -> None:
    assert store_slug("open_clip:ViT-B-32/laion2b_s34b_b79k") == "open-clip-vit-b-32-laion2b-s34b-b79k"
    assert store_slug("toy:rgb") == "toy-rgb"
