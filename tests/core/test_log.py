from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from itertools import product
from pathlib import Path
from random import Random
from typing import get_args

import pytest

import core.log
from core.checkpoint import checkpoints, newest_checkpoint
from core.errors import StoreError
from core.log import (
    Entry,
    LastWords,
    Log,
    Task,
    begin,
    collectable,
    decode_entry,
    encode_entry,
    read_entry,
    saying,
)
from core.rules import PlaceVerb, Wish, Word, why_not
from core.types import Place
from core.writer import Writer, compact
from tests.core import stores

ENTRY = Entry(
    7,
    (
        Word("done", "films", b"caf\xe9/\xf0\x9f\x98\x80 \n.mp4", "5-6", "v-1", columns='{"tag":"é"}'),
        Word("failed", "films", b"-rf", "5-7", error="moov atom not found"),
        Word("skipped", "films", b"x.txt", "1-1", error="not_video"),
        Word("gone", "films", b"y", "1-2"),
        Word("removed", source="v-2"),
        Word("restored", source="v-3"),
    ),
    shard="s1",
    manifest="abc",
    holds=(("v-1", "visual"),),
    replaces=("s0",),
)


def test_an_entry_survives_its_bytes() -> None:
    held = decode_entry(7, encode_entry(ENTRY))
    assert held.words[1:] == ENTRY.words[1:]
    assert held.words[0].path == ENTRY.words[0].path
    assert (held.shard, held.manifest, held.holds, held.replaces) == ("s1", "abc", ENTRY.holds, ("s0",))


def test_an_entry_is_no_other_ones() -> None:
    with pytest.raises(ValueError, match="it is entry 7"):
        decode_entry(8, encode_entry(ENTRY))


def test_any_flipped_byte_of_an_entry_is_found() -> None:
    good = encode_entry(ENTRY)
    for at in range(len(good)):
        for bit in (0x01, 0x20):
            with pytest.raises((ValueError, KeyError, TypeError)):
                decode_entry(7, good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])


def test_a_damaged_entry_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / "000002.jsonl").write_bytes(b"rubbish")
    with pytest.raises(StoreError, match=r"000002\.jsonl is damaged"):
        Log(tmp_path).last()


def test_lines_of_later_versions_are_ignored(tmp_path: Path) -> None:
    data = encode_entry(Entry(2, (Word("gone", "r", b"a", "1"),)))
    assert len(decode_entry(2, data).words) == 1
    assert core.log._word_of({"word": "scored", "source": "v-1"}) is None


def test_a_log_that_lost_its_first_entry_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="neither its first entry nor a checkpoint"):
        Log(tmp_path).last()


def test_two_appends_of_one_number_are_one_commit(tmp_path: Path) -> None:
    begin(tmp_path)
    assert Log(tmp_path).append(Entry(2, (Word("gone", "r", b"a", "1"),)))
    assert not Log(tmp_path).append(Entry(2, (Word("gone", "r", b"b", "1"),)))
    assert [word.path for word in Log(tmp_path).last().words()] == [b"a"]


def busy_store(root: Path, seed: int) -> None:
    """Every kind of word, columns, removals and compactions, with checkpoints in between."""
    rng = Random(seed)
    store = stores.make(root)
    for _ in range(40):
        known = store.log.last()
        writer = Writer(store)
        for _ in range(rng.randrange(1, 4)):
            number = rng.randrange(12)
            task = Task(stores.place(number, str(rng.randrange(3))), known.number)
            columns = rng.choice([None, None, f'{{"n":{rng.randrange(9)}}}'])
            act = rng.randrange(7)
            if act <= 2:
                stores.add(writer, number, stamp=task.place.stamp)
            elif act == 3:
                writer.seen(task, stores.source_id(rng.randrange(12)), columns=columns)
            elif act == 4:
                writer.failed(task, "broken", source=rng.choice(["", stores.source_id(number)]))
            elif act == 5:
                writer.skipped(task, rng.choice(["not_video", "still"]))
            else:
                writer.gone(task)
        if rng.random() < 0.3:
            writer.removed(stores.source_id(rng.randrange(12)), known.number)
        if rng.random() < 0.3:
            writer.restored(stores.source_id(rng.randrange(12)), known.number)
        writer.commit()
        if rng.random() < 0.15:
            compact(store, sorted(store.log.last().shards())[:3])


def whole(folder: Path) -> LastWords:
    """The fold of every entry, without any checkpoint."""
    known = LastWords()
    while entry := read_entry(folder, known.number + 1):
        known = known.after([entry])
    return known


@pytest.mark.parametrize("seed", range(6))
def test_a_checkpoint_and_the_entries_after_it_are_the_whole_log(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 7)
    monkeypatch.setattr(core.checkpoint, "GROUP_ROWS", 5)
    busy_store(tmp_path / "s", seed)
    log = Log(tmp_path / "s" / "log")
    known, truth = log.last(), whole(log.folder)
    assert known.base is not None
    assert known.number == truth.number
    assert dict(known.all_said()) == dict(truth.all_said())
    assert dict(known.source_words()) == dict(truth.source_words())
    assert set(known.winners()) == set(truth.winners())
    assert list(known.live()) == list(truth.live())
    assert known.live_ids() == truth.live_ids()
    for verb, after in product(get_args(PlaceVerb), (0, 5, known.number - 3, known.number)):
        wanted = {s for _, s in truth.all_said() if s.word.word == verb and s.entry > after}
        assert set(saying(known, verb, after)) == wanted, (verb, after)
    for number in range(12):
        assert known.has_rows(stores.source_id(number)) == truth.has_rows(stores.source_id(number))
        place = stores.place(number)
        assert known.entry_of(place.root, place.path) == truth.entry_of(place.root, place.path)


@pytest.mark.parametrize("seed", range(6))
def test_todo_of_many_places_at_once_is_what_the_rule_says_of_each(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 7)
    busy_store(tmp_path / "s", seed)
    log = Log(tmp_path / "s" / "log")
    places = [stores.place(number, str(stamp)) for number in range(14) for stamp in range(3)]
    truth = whole(log.folder)
    for wish in (Wish(), Wish(again=True), Wish(retry_failed=True), Wish(stills=True)):
        skipped: Counter[str] = Counter()
        given = {"again": wish.again, "retry_failed": wish.retry_failed, "stills": wish.stills}
        tasks = list(log.todo(lambda: places, skipped=skipped, **given))
        assert [task.place for task in tasks] == [p for p in places if not why_not(truth, p, wish)]
        assert skipped == Counter(why for p in places if (why := why_not(truth, p, wish)))
        assert {task.since for task in tasks} <= {truth.number}


def age(path: Path) -> None:
    os.utime(path, (0, 0))


def test_gc_may_take_what_an_old_checkpoint_covers_and_readers_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 4)
    store = stores.make(tmp_path / "s")
    cached = Log(store.log.folder)
    cached.last()
    stores.fill(store, range(11))
    before = stores.live_numbers(store)
    assert collectable(store.log.folder, time.time() - 86_400) == []
    for path in store.log.folder.iterdir():
        age(path)
    taken = collectable(store.log.folder, time.time() - 86_400)
    assert [path.name for path in taken[:3]] == ["000001.jsonl", "000002.jsonl", "000003.jsonl"]
    for path in taken:
        path.unlink()
    assert stores.live_numbers(store) == before
    assert {live.id for live in cached.last().live()} == {stores.source_id(n) for n in range(11)}
    stores.fill(store, [20])
    assert stores.live_numbers(store) == [*before, 20]


def test_a_writer_that_slept_while_gc_went_past_takes_its_entry_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 4)
    store = stores.make(tmp_path / "s")
    stores.fill(store, range(9))
    for path in store.log.folder.iterdir():
        age(path)
    for path in collectable(store.log.folder, time.time() - 86_400):
        path.unlink()
    late = Entry(3, (Word("gone", "films", b"0.mp4", "9"),))
    assert not Log(store.log.folder).append(late)
    assert not (store.log.folder / "000003.jsonl").exists()
    assert stores.live_numbers(store) == list(range(9))


def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 2)
    store = stores.make(tmp_path / "s")
    stores.fill(store, range(4))
    found = newest_checkpoint(store.log.folder)
    assert found is not None
    found[1].write_bytes(found[1].read_bytes()[:50])
    with pytest.raises(StoreError, match="is damaged"):
        Log(store.log.folder).last()


def test_a_writer_goes_on_from_the_checkpoints_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 4)
    store = stores.make(tmp_path / "s")
    stores.fill(store, range(12))
    assert [number for number, _ in checkpoints(store.log.folder)] == [4, 8, 12]
    assert len(store.log.last().fresh) <= 4
    for path in store.log.folder.iterdir():
        age(path)
    for path in collectable(store.log.folder, time.time() - 86_400):
        path.unlink()
    stores.fill(store, range(12, 20))
    assert stores.live_numbers(store) == list(range(20))


def test_any_flipped_byte_of_a_checkpoint_is_a_sentence_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 20)
    busy_store(tmp_path / "s", 3)
    found = newest_checkpoint(tmp_path / "s" / "log")
    assert found is not None
    good = found[1].read_bytes()
    for at in range(0, len(good), len(good) // 300):
        found[1].write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        with suppress(StoreError):
            known = Log(tmp_path / "s" / "log").last()
            list(known.live()), list(known.winners()), known.live_ids(), known.source_words()


def test_an_entry_of_a_later_format_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "FORMAT", 2)
    begin(tmp_path)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="has format 2; this version reads 1"):
        Log(tmp_path).last()


def test_the_last_word_about_a_place_is_found_by_root_and_path(tmp_path: Path) -> None:
    store = stores.make(tmp_path / "s")
    stores.fill(store, [1])
    known = store.log.last()
    found = known.place(Place("films", b"1.mp4"))
    assert found is not None and found.word == "done"
    assert known.place(Place("other", b"1.mp4")) is None
