"""Small stores for the tests of core: four numbers a row, sources named by a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Look, Place, Sampling, Segment, Source, Thumbs
from core.writer import NO_THUMBS, KindRows, Writer

DIM = 4
SPEC = EncoderSpec("toy:rgb", DIM, Look(32))


def make(root: Path, spec: EncoderSpec = SPEC, sampling: Sampling | None = None) -> Store:
    return Store.create(root, spec, sampling or Sampling(), np.eye(3, DIM, dtype=np.float32))


def place(number: int, stamp: str = "1") -> Place:
    return Place("films", b"%d.mp4" % number, stamp)


def source_id(number: int) -> str:
    return f"v-{number:032x}"


def add(
    writer: Writer,
    number: int,
    *,
    rows: int = 2,
    stamp: str = "1",
    since: int | None = None,
    task: Task | None = None,
    thumbs: Thumbs = NO_THUMBS,
) -> None:
    """Two frame rows and a clip row of a source, at its place."""
    begun = writer.store.log.last().number if since is None else since
    name = source_id(number)
    seconds = [Segment(name, float(i), float(i + 1)) for i in range(rows)]
    vectors = np.full((rows, DIM), number, np.float32) + np.arange(rows, dtype=np.float32)[
        :, None
    ] / np.float32(8)
    given: KindRows = {"frame": (seconds, vectors), "clip": ([Segment(name, 0.0, float(rows))], vectors[:1])}
    task = task or Task(place(number, stamp), begun)
    writer.add(task, Source(name), given, Facts(size=number), thumbs=thumbs)


def fill(store: Store, numbers: Sequence[int]) -> None:
    """One commit a source, so that there are many shards and entries."""
    for number in numbers:
        writer = Writer(store)
        add(writer, number)
        writer.commit()


def live_numbers(store: Store) -> list[int]:
    """Which sources are live, each checked to have its rows once, in a whole shard."""
    known = Store.open(store.root).log.last()
    found = []
    for live in known.live():
        shard = store.shard(known.shard_of(live.id, "visual"))
        assert shard.damage() == []
        lines = [i for i, row in enumerate(shard.sources.to_pylist()) if row["id"] == live.id]
        rows = shard.rows("frame")
        mine = shard.vectors("frame")[np.isin(rows.source, lines)]
        number = int(live.id[2:], 16)
        assert [float(row[0]) for row in mine] == [number + i / 8 for i in range(len(mine))]
        assert len(mine) == 2
        found.append(number)
    return found
