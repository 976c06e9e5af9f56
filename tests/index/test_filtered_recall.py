"""Recall holds under every filter, from everything kept to one video, where few lists are looked into."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.log import Task
from core.query import Condition, Filter, Where
from core.store import Store
from core.types import (
    EncoderSpec,
    Facts,
    Float32Array,
    Float64Array,
    Kind,
    Look,
    Place,
    Sampling,
    Segment,
    Source,
)
from core.writer import Writer
from index import merge
from index.build import build_snapshot
from index.snapshot import Snapshot
from tests.index.worlds import source_id

DIM, VIDEOS, ROWS = 16, 300, 100
EFFORT = {"frame": {"lists": 20, "candidates": 4}}


def unit(rows: Float32Array | Float64Array) -> Float32Array:
    found: Float32Array = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found


class Archive:
    """Videos of a few topics each, numbered: video n is `films/<n % 10>/<n>.mp4` and n seconds long."""

    def __init__(self, root: Path) -> None:
        chance, centres = np.random.default_rng(1), np.random.default_rng(0).standard_normal((60, DIM))
        topics = chance.integers(0, 60, (VIDEOS, 3))
        picked = np.take_along_axis(topics, chance.integers(0, 3, (VIDEOS, ROWS)), axis=1)
        noise = 0.9 * chance.standard_normal((VIDEOS, ROWS, DIM))
        self.vectors = unit(centres[picked] + noise).astype(np.float16).astype(np.float32)
        self.queries = unit(self.vectors[::15, 7] + 0.15 * chance.standard_normal((20, DIM)))
        self.store = Store.create(root, EncoderSpec("toy:rgb", DIM, Look(32)), Sampling())
        writer = Writer(self.store)
        for number, vectors in enumerate(self.vectors):
            place, id = Place("films", b"%d/%d.mp4" % (number % 10, number), "1"), source_id(number)
            rows = [Segment(id, float(i), float(i + 1)) for i in range(ROWS)]
            writer.add(Task(place, 0), Source(id), {"frame": (rows, vectors)}, Facts(seconds=number + 1.0))
        writer.commit()

    def recall(self, snapshot: Snapshot, where: Where, kept: NDArray[np.bool_], k: int = 10) -> float:
        """Of the best k among the rows [videos, rows] that are kept; every answer must be one of these."""
        scores = np.where(kept, np.einsum("vrd,qd->qvr", self.vectors, self.queries), -np.inf)
        best = -np.sort(-scores.reshape(len(self.queries), -1), axis=1)[:, :k]
        filter = Filter(where=where)
        answers = snapshot.search("frame", self.queries, k, filter=filter)
        shares = []
        for truth, hits in zip(best, answers, strict=True):
            assert all(kept[int(row.source[2:], 16), int(row.start)] for row in hits.segments)
            among = truth[np.isfinite(truth)]
            assert len(hits.segments) == len(among)
            shares.append(float(np.mean(hits.scores >= among[-1] - 1e-5)))
        return float(np.mean(shares))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("archive") / "store")


def seconds(**tests: float) -> Condition:
    return Condition("seconds", tuple((test, value) for test, value in tests.items()))  # type: ignore[misc]


@pytest.mark.parametrize("few_rows", [merge.FEW_ROWS, 0])
@pytest.mark.parametrize("factory", ["IVF128,SQfp16", "IVF128,RaBitQ4"])
def test_recall_holds_from_everything_kept_to_one_video(
    archive: Archive, factory: str, few_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", few_rows)
    built = build_snapshot(
        archive.store, fresh=True, part_rows=9_000, publish=False, factories={"frame": factory}
    )
    opened = Snapshot.open(archive.store, built.number)
    snapshot = replace(opened, held={**opened.held, "effort": EFFORT})
    assert len(snapshot.parts) > 3
    number, row = np.arange(VIDEOS)[:, None], np.arange(ROWS)[None]
    cases = {
        "everything": (Where(), number + row >= 0),
        "most": (Where(must=(seconds(gte=31),)), number + row * 0 >= 30),
        "a folder and seconds": (
            Where(must=(Condition("path", (("prefix", "films/3/"),)), Condition("start", (("gte", 50),)))),
            (number % 10 == 3) & (row >= 50),
        ),
        "a third": (Where(must=(seconds(gte=101, lte=200),)), (number >= 100) & (number < 200) & (row >= 0)),
        "one part": (Where(must=(seconds(lte=80),)), number + row * 0 < 80),
        "some of one part": (Where(must=(seconds(gte=61, lte=80),)), abs(number + row * 0 - 69.5) < 10),
        "few": (Where(must=(seconds(lte=40),)), number + row * 0 < 40),
        "one video": (Where(must=(Condition("name", (("eq", "123.mp4"),)),)), number + row * 0 == 123),
        "some seconds of it": (
            Where(must=(Condition("name", (("eq", "123.mp4"),)), Condition("end", (("lte", 7),)))),
            (number == 123) & (row < 7),
        ),
    }
    found = {name: archive.recall(snapshot, *case) for name, case in cases.items()}
    assert min(found.values()) >= 0.95, found


def test_threads_with_filters_of_their_own_each_get_what_one_alone_gets(archive: Archive) -> None:
    factories: dict[Kind, str] = {"frame": "IVF128,SQfp16"}
    built = build_snapshot(archive.store, fresh=True, part_rows=9_000, publish=False, factories=factories)
    filters = [Filter(where=Where(must=(seconds(gte=n, lte=n + 120),))) for n in range(1, 180, 10)]

    def answers(snapshot: Snapshot, filter: Filter) -> list[list[tuple[str, float]]]:
        found = snapshot.search("frame", archive.queries[:4], 10, filter=filter, effort=4)
        return [[(row.source, row.start) for row in hits.segments] for hits in found]

    alone = [answers(Snapshot.open(archive.store, built.number), filter) for filter in filters]
    shared = Snapshot.open(archive.store, built.number)

    def ask(thread: int) -> None:
        for number in np.random.default_rng(thread).permutation(len(filters)).tolist():
            assert answers(shared, filters[number]) == alone[number]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
