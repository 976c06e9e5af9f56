from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import core.writer
from core import files
from core.errors import StoreError
from core.log import Task
from core.rules import Entry, LastWords
from core.store import Store
from core.types import Facts, Float32Array, Segment, Source
from core.writer import Held, KindRows, Made, Writer, compact
from tests.core import stores
from tests.core.stores import place, source_id


def test_nothing_is_there_before_the_commit_and_all_of_it_after(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    writer = Writer(store)
    stores.add(writer, 1)
    assert stores.live_numbers(store) == []
    assert writer.commit() == 2
    assert stores.live_numbers(store) == [1]
    assert writer.commit() is None


def test_a_copy_is_one_more_place_and_no_second_row(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    writer = Writer(store)
    writer.seen(Task(place(2), store.log.last().number), source_id(1))
    writer.commit()
    (live,) = store.log.last().live()
    assert [p.path for p in live.places] == [b"1.mp4", b"2.mp4"]
    assert len(store.log.last().shards()) == 1


def test_two_workers_that_did_the_same_work_leave_it_live_once(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    first, second = Writer(Store.open(store.root)), Writer(Store.open(store.root))
    stores.add(first, 1)
    stores.add(second, 1)
    first.commit()
    second.commit()
    assert stores.live_numbers(store) == [1]
    assert len(list((store.root / "shards").iterdir())) == 1


def test_a_removal_said_meanwhile_stays(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    slow, remover = Writer(Store.open(store.root)), Writer(store)
    since = store.log.last().number
    slow.seen(Task(place(1, "2"), since), source_id(1))
    slow.restored(source_id(1), since)
    remover.removed(source_id(1), since)
    remover.commit()
    slow.commit()
    assert store.log.last().is_removed(source_id(1))
    assert stores.live_numbers(store) == []


def test_an_undone_removal_brings_the_rows_back(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    for say in ("removed", "restored"):
        writer = Writer(store)
        getattr(writer, say)(source_id(1), store.log.last().number)
        writer.commit()
    assert stores.live_numbers(store) == [1]


def test_a_done_whose_rows_were_compacted_away_is_left_out(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1, 2])
    slow = Writer(Store.open(store.root))
    slow.seen(Task(place(3), store.log.last().number), source_id(1))
    gone = Writer(store)
    gone.gone(Task(place(1, "2"), store.log.last().number))
    gone.commit()
    compact(store, sorted(store.log.last().shards()))
    assert slow.commit() is None
    assert stores.live_numbers(store) == [2]


def test_columns_stay_until_they_are_set_and_pass_to_copies(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    for number, stamp, columns in [(1, "1", '{"tag":"a"}'), (1, "2", None), (2, "1", None)]:
        writer = Writer(store)
        task = Task(place(number, stamp), store.log.last().number)
        if store.log.last().has_rows(source_id(1)):
            writer.seen(task, source_id(1), columns=columns)
        else:
            rows: KindRows = {
                "frame": ([Segment(source_id(1), 0.0, 1.0)], np.ones((1, stores.DIM), np.float32))
            }
            writer.add(task, Source(source_id(1)), rows, Facts(), columns=columns)
        writer.commit()
    (live,) = store.log.last().live()
    assert live.columns == {"tag": "a"}
    copy = store.log.last().place(place(2))
    assert copy is not None and copy.columns == '{"tag":"a"}'


def test_a_new_content_looks_for_no_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    writer = Writer(store)
    writer.seen(Task(place(1, "2"), store.log.last().number), source_id(1), columns='{"tag":"a"}')
    writer.commit()

    def look(_: LastWords, source: str) -> None:
        raise AssertionError(f"columns of {source} were looked for among all places")

    monkeypatch.setattr(LastWords, "columns_of", look)
    stores.fill(store, [2])
    assert stores.live_numbers(store) == [1, 2]


def test_a_change_of_columns_is_applied_to_the_word_that_was_faster(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    slow, fast = Writer(Store.open(store.root)), Writer(store)
    since = store.log.last().number
    slow.seen(Task(place(1), since), source_id(1), columns='{"tag":"new"}')
    fast.failed(Task(place(1, "2"), since), "broken")
    fast.commit()
    slow.commit()
    word = store.log.last().place(place(1))
    assert word is not None and (word.word, word.stamp, word.columns) == ("failed", "2", '{"tag":"new"}')


def test_library_texts_are_a_layer_of_their_own(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    writer = Writer(store)
    segment = Segment("t-1", text="a red truck")
    rows: KindRows = {"text": ([segment], np.ones((1, stores.DIM), np.float32))}
    task = Task(place(1), store.log.last().number)
    writer.add(task, Source("t-1", text=segment.text), rows, Facts())
    writer.commit()
    known = store.log.last()
    texts = store.shard(known.shard_of("t-1", "text")).rows("text").text
    assert texts is not None and texts.to_pylist() == ["a red truck"]
    assert known.has_rows("t-1")


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((1, 3), np.float32),
        np.full((1, stores.DIM), np.nan, np.float32),
        np.full((1, 4), 1e30, np.float32),
    ],
)
def test_vectors_of_a_wrong_shape_or_that_are_not_finite_are_a_bug(
    tmp_path: Path, vectors: Float32Array
) -> None:
    writer = Writer(stores.make(tmp_path / "s"))
    rows: KindRows = {"frame": ([Segment("v-1", 0.0, 1.0)], vectors)}
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="vectors"):
        writer.add(Task(place(1), 1), Source("v-1"), rows, Facts())


def test_a_writer_is_due_when_it_is_full_or_has_waited(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    full, waited = Writer(store, max_rows=4), Writer(store, max_seconds=0.0)
    assert not full.due and not waited.due
    stores.add(full, 1)
    assert not full.due
    stores.add(full, 2)
    stores.add(waited, 3)
    assert full.due and waited.due


def test_each_commit_may_come_after_twice_as_long_as_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(core.writer, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    writer, waited = Writer(stores.make(tmp_path / "s"), max_seconds=100.0), []
    for number in range(5):
        stores.add(writer, number)
        began = clock[0]
        while not writer.due:
            clock[0] += 50
        waited.append(clock[0] - began)
        writer.commit()
    assert waited == [100, 200, 400, 600, 600]


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_a_shard_that_may_have_been_swept_is_made_anew(
    is_overtaken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.make(tmp_path / "s")
    writer = Writer(Store.open(store.root))
    stores.add(writer, 1)
    real, made = core.writer.write_shard, list[Made]()

    def slept(store: Store, held: Sequence[Held]) -> Made:
        made.append(real(store, held))
        if len(made) > 1:
            return made[-1]
        if is_overtaken:
            store.log.append(Entry(2))
        shutil.rmtree(store.root / "shards" / made[0].name)  # by gc, two days later
        return replace(made[0], at=0.0)

    monkeypatch.setattr(core.writer, "write_shard", slept)
    assert writer.commit() == 2 + is_overtaken
    assert len(made) == 2
    assert stores.live_numbers(store) == [1]


def _write_many(root: Path, first: int) -> None:
    for number in range(first, first + 15):
        writer = Writer(Store.open(root))
        stores.add(writer, number % 40)
        writer.commit()


def test_processes_that_commit_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    context = get_context("fork")
    racers = [context.Process(target=_write_many, args=(store.root, 10 * i)) for i in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0
    assert stores.live_numbers(store) == sorted(
        {n % 40 for i in range(4) for n in range(10 * i, 10 * i + 15)}
    )
    numbers = sorted(int(p.stem) for p in (store.root / "log").glob("*.jsonl"))
    assert numbers == list(range(1, len(numbers) + 1))


def _on_a_full_disk(root: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14))
    writer = Writer(Store.open(root))
    stores.add(writer, 1, rows=5000)
    try:
        writer.commit()
    except StoreError as error:
        os._exit(42 if "cannot be written: File too large." in str(error) else 1)
    os._exit(2)


def test_a_full_disk_is_one_sentence_and_the_store_still_opens(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [7])
    process = get_context("fork").Process(target=_on_a_full_disk, args=(store.root,))
    process.start()
    process.join()
    assert process.exitcode == 42
    assert stores.live_numbers(store) == [7]
    assert files.sweep(store.root / "shards", 0) == 0


@pytest.mark.parametrize("name", ["frame.npy", "sources.parquet"])
def test_a_damaged_shard_is_not_sealed_anew(tmp_path: Path, name: str) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1, 2])
    shards = sorted(store.log.last().shards())
    path = store.root / "shards" / shards[0] / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{name} is damaged: .* `extract --again` makes it anew"):
        compact(store, shards)
    assert store.log.last().shards() == frozenset(shards)
    path.unlink()
    with pytest.raises(StoreError, match=rf"{name} is missing"):
        compact(store, shards)


def test_compaction_keeps_what_is_live_and_leaves_out_what_is_not(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1, 2, 3])
    writer = Writer(store)
    writer.removed(source_id(2), store.log.last().number)
    writer.commit()
    assert compact(store, sorted(store.log.last().shards())) == 6
    (shard,) = store.log.last().shards()
    assert sorted(store.shard(shard).sources["id"].to_pylist()) == [source_id(1), source_id(3)]
    assert stores.live_numbers(store) == [1, 3]
    assert compact(store, []) is None


def test_compaction_of_a_shard_that_won_and_one_that_lost_keeps_the_rows_of_the_first(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    name = source_id(1)
    writer = Writer(store)
    rows: KindRows = {"frame": ([Segment(name, 0.0, 1.0)], np.zeros((1, stores.DIM), np.float32))}
    writer.add(Task(place(1, "2"), store.log.last().number), Source(name), rows, Facts(), again=True)
    writer.commit()
    compact(store, sorted(path.name for path in (store.root / "shards").iterdir()))
    (shard,) = store.log.last().shards()
    assert store.shard(shard).count("frame") == 1


def test_compaction_takes_over_nothing_that_was_embedded_again_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1, 2])
    old = sorted(store.log.last().shards())
    real = core.writer.write_shard

    def slowly(store: Store, held: Sequence[Held]) -> Made:
        monkeypatch.setattr(core.writer, "write_shard", real)
        writer = Writer(Store.open(store.root))
        name = source_id(1)
        rows: KindRows = {"frame": ([Segment(name, 0.0, 1.0)], np.zeros((1, stores.DIM), np.float32))}
        since = store.log.last().number
        writer.add(Task(place(1, "2"), since), Source(name), rows, Facts(), again=True)
        writer.commit()
        return real(store, held)

    monkeypatch.setattr(core.writer, "write_shard", slowly)
    compact(store, old)
    known = store.log.last()
    assert store.shard(known.shard_of(source_id(1), "visual")).count("frame") == 1
    assert known.shard_of(source_id(2), "visual") not in old
