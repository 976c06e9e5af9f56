from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.errors import StoreError
from core.lines import FILE
from core.log import Task
from core.store import Store
from core.types import Line, Sidecar, Thumbs
from core.writer import LINE_BYTES, MAX_BYTES, MAX_WORDS, Writer, compact
from tests.core import stores

LINES = (Line(0.5, 2.0, "a red circle", "en"), Line(2.0, 3.5, "ein Kreis \N{SNOWMAN}", "de"))
SIDECAR = Sidecar(b"1.en.srt", "5-6", "ab" * 16)
THUMBS = Thumbs((0.0, 4.0, 8.0), (b"one", b"two two", b"three"))


def task(number: int, *sidecars: Sidecar) -> Task:
    return Task(replace(stores.place(number), sidecars=sidecars), 99)


def add(writer: Writer, number: int, *sidecars: Sidecar, thumbs: Thumbs = THUMBS) -> None:
    """A source with rows, thumbnails and lines of its own, and lines beside it."""
    name = stores.source_id(number)
    writer.tell(name, "subtitles", LINES)
    for sidecar in sidecars:
        writer.tell(name, sidecar.layer, LINES[:1], np.ones((1, stores.DIM), np.float32))
    stores.add(writer, number, task=task(number, *sidecars), thumbs=thumbs)


def lines_of(store: Store, number: int, layer: str) -> list[Line]:
    """What the shard that won holds."""
    name = stores.source_id(number)
    shard = store.shard(store.log.last().shard_of(name, layer))
    found = [
        i for i, row in enumerate(shard.sources.to_pylist()) if (row["id"], row["layer"]) == (name, layer)
    ]
    assert len(found) == 1
    return shard.lines().of(found[0])


def test_lines_come_back_by_their_layer(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    add(writer, 1, SIDECAR)
    add(writer, 2)
    writer.commit()
    assert lines_of(store, 1, "subtitles") == list(LINES)
    assert lines_of(store, 1, SIDECAR.layer) == [LINES[0]]
    assert lines_of(store, 2, "subtitles") == list(LINES)
    shard = store.shard(store.log.last().shard_of(stores.source_id(1), "visual"))
    assert shard.lines().origin.to_pylist() == ["subtitles", "subtitles", "sidecar", "subtitles", "subtitles"]
    assert (shard.manifest["lines"], shard.count("text"), len(shard.lines())) == (5, 1, 5)
    assert shard.rows("text").start.tolist() == [0.5]
    assert shard.damage() == []


def test_who_wrote_a_line_is_kept_by_commits_and_compacting(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    told = (replace(LINES[0], written_by="a:writer"), LINES[1])
    writer.tell(stores.source_id(1), "captions", told, np.ones((2, stores.DIM), np.float32))
    stores.add(writer, 1, task=task(1))
    writer.commit()
    assert lines_of(store, 1, "captions") == [*told]
    compact(store, sorted(store.log.last().shards()))
    assert lines_of(store, 1, "captions") == [*told]


def test_of_an_older_shard_nobody_knows_who_wrote_its_lines(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    add(writer, 1)
    writer.commit()
    shard = store.shard(store.log.last().shard_of(stores.source_id(1), "subtitles"))
    path = shard.path / FILE
    pq.write_table(pq.read_table(path).drop_columns(["written_by"]), path)
    assert lines_of(store, 1, "subtitles") == list(LINES)
    assert shard.lines().written_by is None


def test_a_shard_without_lines_has_none(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    stores.fill(store, [1])
    shard = store.shard(store.log.last().shard_of(stores.source_id(1), "visual"))
    assert len(shard.lines()) == 0
    assert not (shard.path / "lines.parquet").exists() and not (shard.path / "thumbs.bin").exists()
    assert shard.thumbs(stores.source_id(1)) == Thumbs()
    assert shard.thumbnail(stores.source_id(1), 0.0) is None


@pytest.mark.parametrize(
    ("t", "at", "tile"),
    [
        (-1, 0.0, b"one"),
        (1.9, 0.0, b"one"),
        (2.1, 4.0, b"two two"),
        (4, 4.0, b"two two"),
        (99, 8.0, b"three"),
    ],
)
def test_a_thumbnail_is_the_nearest_one(tmp_path: Path, t: float, at: float, tile: bytes) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    add(writer, 1, thumbs=Thumbs((1.0,), (b"before",)))
    add(writer, 2)
    writer.commit()
    shard = store.shard(store.log.last().shard_of(stores.source_id(2), "visual"))
    assert shard.thumbnail(stores.source_id(2), t) == (at, tile)
    assert shard.thumbs(stores.source_id(2)) == THUMBS
    assert shard.thumbs(stores.source_id(1)).tiles == (b"before",)
    assert shard.thumbnail("v-none", 0.0) is None


def test_damage_in_any_of_the_files_is_found(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    add(writer, 1)
    writer.commit()
    (shard,) = (store.shard(name) for name in store.log.last().shards())
    for name in ("lines.parquet", "thumbs.bin"):
        good = (shard.path / name).read_bytes()
        (shard.path / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert [name in line for line in store.shard(shard.name).damage()] == [True]
        (shard.path / name).write_bytes(good)
    (shard.path / "thumbs.bin").write_bytes(b"one")
    with pytest.raises(StoreError, match=r"thumbs\.bin is damaged: it ends within a picture"):
        shard.thumbnail(stores.source_id(1), 9.0)


def test_compacting_carries_lines_and_thumbnails(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    for number in (1, 2):
        writer = Writer(store)
        add(writer, number, SIDECAR)
        writer.commit()
    before = store.log.last().shards()
    compact(store, sorted(before))
    (name,) = store.log.last().shards()
    assert name not in before
    for number in (1, 2):
        assert lines_of(store, number, "subtitles") == list(LINES)
        assert lines_of(store, number, SIDECAR.layer) == [LINES[0]]
        assert store.shard(name).thumbs(stores.source_id(number)) == THUMBS
    assert store.shard(name).rows("text").start.tolist() == [0.5, 0.5]
    assert stores.live_numbers(store) == [1, 2]
    assert store.shard(name).damage() == []


def test_compacting_drops_a_sidecar_that_nothing_names(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    add(writer, 1, SIDECAR)
    writer.commit()
    writer.seen(Task(stores.place(1), store.log.last().number), stores.source_id(1))
    writer.commit()
    compact(store, sorted(store.log.last().shards()))
    known = store.log.last()
    assert known.shard_of(stores.source_id(1), SIDECAR.layer) == ""
    assert lines_of(store, 1, "subtitles") == list(LINES)


def test_a_new_sidecar_is_a_shard_of_lines_alone(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    stores.fill(store, [1])
    writer = Writer(store)
    writer.tell(stores.source_id(1), SIDECAR.layer, LINES)
    writer.seen(task(1, SIDECAR), stores.source_id(1))
    number = writer.commit()
    assert number is not None and len(store.log.last().shards()) == 2
    assert lines_of(store, 1, SIDECAR.layer) == list(LINES)
    assert stores.live_numbers(store) == [1]
    # Said again, nobody writes them again.
    writer.tell(stores.source_id(1), SIDECAR.layer, LINES)
    writer.seen(task(1, SIDECAR), stores.source_id(1))
    writer.commit()
    assert len(store.log.last().shards()) == 2


def test_a_sidecar_without_lines_has_a_layer_all_the_same(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    writer.tell(stores.source_id(1), SIDECAR.layer, ())
    stores.add(writer, 1, task=task(1, SIDECAR))
    writer.commit()
    assert lines_of(store, 1, SIDECAR.layer) == []


def test_lines_of_what_failed_are_not_written(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    writer.tell(stores.source_id(1), "subtitles", LINES)
    writer.failed(task(1, SIDECAR), "no pictures")
    writer.commit()
    assert store.log.last().shards() == set()


def test_many_thumbnails_make_a_commit_due(tmp_path: Path) -> None:
    writer = Writer(stores.make(tmp_path))
    add(writer, 1)
    assert not writer.due
    add(writer, 2, thumbs=Thumbs((0.0,), (bytes(MAX_BYTES),)))
    assert writer.due


def test_many_lines_or_long_ones_make_a_commit_due(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    for lines in ((Line(0.0, 1.0, "x"),) * (MAX_BYTES // LINE_BYTES), (Line(0.0, 1.0, "x" * MAX_BYTES),)):
        writer = Writer(store)
        writer.seen(task(1, SIDECAR), stores.source_id(1))
        writer.tell(stores.source_id(1), SIDECAR.layer, LINES)
        assert not writer.due
        writer.tell(stores.source_id(1), SIDECAR.layer, lines)
        assert writer.due
        writer.commit()
        writer.gone(task(1))
        assert not writer.due


def test_many_words_make_a_commit_due(tmp_path: Path) -> None:
    writer = Writer(stores.make(tmp_path))
    for number in range(MAX_WORDS):
        assert not writer.due
        writer.seen(task(number, SIDECAR), stores.source_id(1))
    assert writer.due
