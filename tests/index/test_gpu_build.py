"""Lists that a device trained and filled are as good as FAISS' own: torch's "cpu:0" runs a GPU's code."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch

from core.types import Float32Array
from index.build import build_snapshot
from index.cli import main
from index.exact_gpu import Nearest, centres
from index.faissfile import lists_of
from index.gpu_build import adder, help_training
from index.snapshot import Snapshot
from tests.index.worlds import World, world

DEVICES = ["cpu:0", pytest.param("cuda", marks=pytest.mark.gpu)]


def rows(count: int, dim: int = 16, seed: int = 0) -> Float32Array:
    """Around forty directions."""
    chance = np.random.default_rng(seed)
    around = np.random.default_rng(1).standard_normal((40, dim))
    return (around[chance.integers(0, 40, count)] + 0.4 * chance.standard_normal((count, dim))).astype("f4")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("factory", ["IVF32,Flat", "IVF32,SQ8"])
def test_lists_of_a_device_find_as_much_as_those_of_faiss(factory: str, device: str) -> None:
    base, queries = rows(4_000), rows(200, seed=2)
    _, truth = faiss.knn(queries, base, 1, metric=faiss.METRIC_INNER_PRODUCT)
    found = []
    for where in ("cpu", device):
        index = faiss.index_factory(16, factory, faiss.METRIC_INNER_PRODUCT)
        take_off = help_training(index, base, where)
        index.train(base)
        take_off()
        add = adder(index, where)
        for first in range(0, len(base), 1_500):
            add(base[first : first + 1_500])
        assert index.ntotal == len(base)
        lists_of(index).nprobe = 4
        found.append(float((index.search(queries, 10)[1] == truth).any(axis=1).mean()))
    plain, helped = found
    assert helped > plain - 0.05 and helped > 0.6


def test_a_row_goes_to_the_list_that_faiss_would_give_it() -> None:
    base = rows(3_000)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(16), 16, 32, faiss.METRIC_INNER_PRODUCT)
    index.train(base)
    _, wanted = index.quantizer.search(base, 1)
    nearest = Nearest(index.quantizer.reconstruct_n(0, 32), "cpu")
    assert (nearest.of(base) == wanted[:, 0]).mean() > 0.999


def test_every_centre_has_length_1_and_rows_even_where_most_rows_are_equal() -> None:
    base = np.concatenate([np.repeat(rows(1), 2_000, axis=0), rows(200, seed=3)])
    found = centres(base, 24, 10, "cpu")
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert len(np.unique(Nearest(found, "cpu").of(base))) > 12


def test_lists_behind_a_transform_are_left_to_faiss() -> None:
    base = rows(2_000)
    index = faiss.index_factory(16, "PCA8,IVF16,Flat", faiss.METRIC_INNER_PRODUCT)
    help_training(index, base, "cpu:0")()
    assert lists_of(index).quantizer.ntotal == 0
    index.train(base)
    adder(index, "cpu:0")(base)
    assert index.ntotal == len(base)


@pytest.fixture
def lived(tmp_path: Path) -> World:
    found = world(tmp_path / "store", exact=False)
    found.add(150)
    return found


@pytest.mark.parametrize("device", DEVICES)
def test_a_store_that_was_built_on_a_device_answers_as_any(lived: World, device: str) -> None:
    build_snapshot(lived.store, factories={"frame": "IVF8,SQfp16"}, device=device, part_rows=200)
    snapshot = Snapshot.open(lived.store)
    assert len([part for part in snapshot.parts if part.about.kind == "frame"]) > 1
    for query in lived.vectors(5):
        (hits,) = snapshot.search("frame", query[None], 10, effort=0)
        wanted = lived.best("frame", query, 10)
        assert [(s.source, s.start) for s in hits.segments] == [row[1:3] for row in wanted]


@pytest.mark.parametrize("flags", [[], ["--follow"]])
def test_a_gpu_that_is_not_there_is_one_sentence(
    lived: World, flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["build", "--store", str(lived.store.root), "--device", "cuda", *flags]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "cinedex index build: device 'cuda' is not on this machine; no GPU is found.\n"
    assert not (lived.store.root / "CURRENT").exists()
