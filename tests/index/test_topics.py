"""Recall holds where what a filter keeps lies together, and queries lie elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from core.log import Task
from core.query import Condition, Effort, Filter, Where
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Float64Array, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index import merge
from index.build import build_snapshot
from index.live import LivePart
from index.snapshot import Snapshot
from tests.index.worlds import source_id

DIM, FOLDERS, VIDEOS, ROWS, TOPICS, K = 32, 5, 150, 100, 400, 10
FACTORIES = ("IVF200,SQfp16", "IVF200_HNSW16,SQfp16")


def unit(rows: Float32Array | Float64Array) -> Float32Array:
    found: Float32Array = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found


@dataclass(frozen=True)
class Foldered:
    """Video n is in the folder n % FOLDERS, each of which has topics of its own."""

    store: Store
    queries: Float32Array  # of all folders but the first


@pytest.fixture(scope="module")
def foldered(tmp_path_factory: pytest.TempPathFactory) -> Foldered:
    chance = np.random.default_rng(0)
    aside = unit(chance.standard_normal((FOLDERS, DIM)))[np.arange(TOPICS) % FOLDERS]
    topics = unit(unit(chance.standard_normal((TOPICS, DIM))) + 0.8 * aside)
    store = Store.create(
        tmp_path_factory.mktemp("topics") / "store", EncoderSpec("toy:rgb", DIM, Look(32)), Sampling()
    )
    writer, queries = Writer(store), []
    for number in range(VIDEOS):
        of = number % FOLDERS + FOLDERS * chance.integers(0, TOPICS // FOLDERS, 5)
        noise = 0.9 * chance.standard_normal((ROWS, DIM)) / DIM**0.5
        vectors = unit(topics[chance.choice(of, ROWS)] + noise)
        id, name = source_id(number), b"%d/%d.mp4" % (number % FOLDERS, number)
        rows = [Segment(id, float(i), float(i + 1)) for i in range(ROWS)]
        task = Task(Place("films", name, "1"), store.log.last().number)
        writer.add(task, Source(id), {"frame": (rows, vectors)}, Facts(seconds=ROWS))
        if number % FOLDERS:
            queries.append(unit(vectors[3] + 0.6 * chance.standard_normal(DIM) / DIM**0.5))
    writer.commit()
    return Foldered(store, np.array(queries[::3], np.float32))


def opened(foldered: Foldered, factory: str) -> Snapshot:
    built = build_snapshot(
        foldered.store, fresh=True, part_rows=6_000, publish=False, factories={"frame": factory}
    )
    return Snapshot.open(foldered.store, built.number)


def recall(parts: list[LivePart], queries: Float32Array, effort: Effort, last: Float32Array) -> float:
    """last: the score of the last of the true ten of each query."""
    found = merge.best_rows(parts, queries, K, effort)
    pairs = zip(found, last.tolist(), strict=True)
    return float(np.mean([sum(row.score >= least - 1e-5 for row in rows) / K for rows, least in pairs]))


def last_of(parts: list[LivePart], queries: Float32Array) -> Float32Array:
    """By every row that lives."""
    held = [part.part.vectors(part.live_positions()) for part in parts if part.live]
    scores = queries @ np.concatenate(held).T
    found: Float32Array = np.partition(scores, -K, axis=1)[:, -K]
    return found


FOLDER = Filter(where=Where(must=(Condition("path", (("prefix", "films/0/"),)),)))


@pytest.mark.parametrize("factory", FACTORIES)
def test_recall_holds_in_a_folder_of_topics_that_no_query_is_of(
    foldered: Foldered, factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    snapshot, queries = opened(foldered, factory), foldered.queries
    assert len(snapshot.parts) == 3
    effort = Effort(8, 4)
    kept = snapshot.filtered("frame", FOLDER)
    others = frozenset(source_id(number) for number in range(VIDEOS) if number % FOLDERS)
    less = snapshot.filtered("frame", Filter(hidden=others))
    alone = snapshot.filtered("frame", Filter(sources=frozenset(map(source_id, range(0, VIDEOS, FOLDERS)))))
    last = last_of(kept, queries)
    found = [recall(parts, queries, effort, last) for parts in (kept, less, alone)]
    assert min(found) >= 0.95, found
    for one, other in zip(kept, less, strict=True):
        assert one.in_lists.sum() == one.live
        assert one.in_lists.tolist() == other.in_lists.tolist()
