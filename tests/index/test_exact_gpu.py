"""A search on a device answers as one on the processor does: torch's own "cpu" runs the same code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import SnapshotError, UsageError
from core.query import Filter
from core.types import Float32Array, Kind
from index import exact_gpu
from index.build import build, build_snapshot
from index.exact_gpu import Card, device_of, require_room
from index.snapshot import Snapshot
from tests.index.filmed import Studio
from tests.index.worlds import DIM, lived_in, source_id, world

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def answers(snapshot: Snapshot, kind: Kind, queries: Float32Array, k: int, **asked: Any) -> list[Any]:
    return [
        (list(hits.segments), hits.scores.tolist()) for hits in snapshot.search(kind, queries, k, **asked)
    ]


def on(snapshot: Snapshot, device: str) -> Snapshot:
    """With its rows held there, also where that is the processor."""
    return replace(snapshot, card=Card.holding(snapshot.parts, device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(2))
def test_answers_are_the_same_with_dead_rows_filters_and_ties(tmp_path: Path, seed: int, device: str) -> None:
    lived = lived_in(tmp_path / "store", seed)
    build_snapshot(lived.store, part_rows=11)
    plain = Snapshot.open(lived.store)
    held = on(plain, device)
    some = frozenset(sorted(lived.held)[::2])
    for kind in plain.rows:
        queries = lived.vectors(5)
        for k in (1, 4, 1000):
            for filter in (None, Filter(some), Filter(hidden=some), Filter(frozenset({source_id(1)}))):
                asked = answers(held, kind, queries, k, filter=filter)
                assert asked == answers(plain, kind, queries, k, filter=filter)
        hidden = plain.masked(some)
        assert answers(replace(hidden, card=held.card), kind, queries, 5) == answers(hidden, kind, queries, 5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("length", [1e-3, 1.0, 300.0])
def test_rows_that_are_nearly_as_good_are_told_apart_at_any_length(
    tmp_path: Path, length: float, device: str
) -> None:
    """Half floats cannot: hundreds of rows are within their rounding of the best."""
    studio = Studio(tmp_path / "store", dim=64)
    look = studio.still(0.1)
    spread = 1e-4 * np.random.default_rng(0).standard_normal((2_000, 64))
    studio.put_in["near"] = ((look + spread) * length).astype(np.float32), 1.0
    studio.put_in["far"] = (studio.film(100)[::10] * length).astype(np.float32), 1.0
    studio.facts |= {"near": {}, "far": {}}
    plain = studio.built()
    queries = np.concatenate([look * length, studio.film(2)[::10], np.zeros((1, 64))]).astype(np.float32)
    for k in (1, 10, 100):
        assert answers(on(plain, device), "frame", queries, k) == answers(plain, "frame", queries, k)


@pytest.mark.parametrize("device", DEVICES)
def test_many_queries_answer_as_each_alone(tmp_path: Path, device: str) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(60)
    build(lived.store)
    held = on(Snapshot.open(lived.store), device)
    queries = lived.vectors(70)
    together = answers(held, "frame", queries, 7)
    assert together == [answers(held, "frame", query[None], 7)[0] for query in queries]


def test_a_kind_without_rows_has_no_answer(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(2)
    build(lived.store)
    snapshot = on(Snapshot.open(lived.store), "cpu")
    assert answers(snapshot, "text", np.ones((2, DIM), np.float32), 3) == [([], []), ([], [])]


def test_the_next_snapshot_copies_only_parts_that_are_new(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(3)
    build(lived.store)
    first = on(Snapshot.open(lived.store), "cpu")
    lived.add(2)
    build(lived.store)
    parts = Snapshot.open(lived.store).parts
    assert first.card is not None
    after = Card.holding(parts, "cpu", first.card)
    shared = {name for name in after.blocks if after.blocks[name] is first.card.blocks.get(name)}
    assert shared == set(first.card.blocks) and len(after.blocks) > len(shared)


def test_an_approximate_index_is_searched_exactly_there(tmp_path: Path) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(200)
    build_snapshot(lived.store, factories={"frame": "IVF8,SQ8"})
    snapshot = Snapshot.open(lived.store)
    query = lived.vectors(1)
    ((segments, _),) = answers(on(snapshot, "cpu"), "frame", query, 10)
    assert [(s.source, s.start) for s in segments] == [row[1:3] for row in lived.best("frame", query[0], 10)]


def test_a_gpu_that_is_not_there_is_one_sentence_and_auto_is_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("cpu") == device_of("auto") == "cpu"
    with pytest.raises(UsageError, match=r"^device 'cuda' is not on this machine; no GPU is found\.$"):
        device_of("cuda")


def test_rows_that_have_no_room_are_refused_before_they_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = world(tmp_path / "store")
    lived.add(3)
    build(lived.store)
    parts = Snapshot.open(lived.store).parts
    rows = sum(part.about.rows for part in parts)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 28, 1 << 33))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A card")
    with pytest.raises(SnapshotError) as error:
        require_room(parts, torch.device("cuda"))
    assert str(error.value) == (
        f"{rows} rows need 0.5 GiB on A card, of which 0.2 GiB are free; `--device cpu` needs none."
    )
    require_room([], torch.device("cuda"))


@pytest.mark.gpu
def test_a_gpu_that_is_there_is_chosen() -> None:
    assert device_of("auto") == device_of("cuda") == "cuda"
    assert exact_gpu.trouble() == ""
