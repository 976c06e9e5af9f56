from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.checkpoint import SCHEMA, Checkpoint, write_checkpoint
from core.compaction import named_pairs
from core.log import Log, Task, decode_entry, encode_entry
from core.rules import Entry, LastWords, Wish, Word, why_not
from core.sidecars import seen_of
from core.store import Store
from core.types import Place, Sidecar
from core.writer import Writer, compact
from tests.core import stores

ODD = Sidecar(b"caf\xe9/\xf0\x9f\x98\x80 \n.en.srt", "5-6", "ab" * 16)
PLAIN = Sidecar(b"1.vtt", "7-8", "cd" * 16)


def unread(*sidecars: Sidecar) -> tuple[Sidecar, ...]:
    """As a listing shows them."""
    return tuple(replace(sidecar, hash="") for sidecar in sidecars)


def said(store_root: Path, *sidecars: Sidecar) -> Log:
    """A store where one video is done with these beside it."""
    store = stores.make(store_root)
    writer = Writer(store)
    for sidecar in sidecars:
        writer.tell(stores.source_id(1), sidecar.layer, ())
    stores.add(writer, 1, task=Task(replace(stores.place(1), sidecars=sidecars), 1))
    stores.add(writer, 2)
    writer.failed(Task(replace(stores.place(3), sidecars=sidecars), 1), "no pictures")
    writer.commit()
    return store.log


def todo(log: Log, *places: Place) -> list[bytes]:
    return [task.place.path for task in log.todo(lambda: places)]


def test_a_word_keeps_its_sidecars_in_its_bytes() -> None:
    word = Word("done", "films", b"1.mp4", "1", "v-1", sidecars=(ODD, PLAIN))
    assert decode_entry(2, encode_entry(Entry(2, (word,)))).words == (word,)
    assert word.place.sidecars == (ODD, PLAIN)


def test_a_word_without_sidecars_is_written_as_ever() -> None:
    assert b"sidecars" not in encode_entry(Entry(2, (Word("done", "films", b"1.mp4", "1", "v-1"),)))


@pytest.mark.parametrize("is_checkpointed", [False, True])
@pytest.mark.parametrize(
    ("beside", "is_todo"),
    [
        (unread(ODD, PLAIN), False),
        (unread(PLAIN), True),
        ((), True),
        (unread(ODD, replace(PLAIN, stamp="9-9")), True),
        (unread(ODD, PLAIN, Sidecar(b"1.z.srt", "1-1")), True),
    ],
)
def test_a_place_is_to_do_when_what_lies_beside_it_is_another(
    tmp_path: Path, beside: tuple[Sidecar, ...], is_todo: bool, is_checkpointed: bool
) -> None:
    log = said(tmp_path, ODD, PLAIN)
    if is_checkpointed:
        write_checkpoint(log.folder, log.last())
        log = Log(log.folder)
        assert isinstance(log.last().base, Checkpoint)
    place = replace(stores.place(1), sidecars=beside)
    assert todo(log, place, stores.place(2)) == ([place.path] if is_todo else [])
    assert why_not(log.last(), place, Wish()) == ("" if is_todo else "already")
    failed = replace(stores.place(3), sidecars=beside)
    assert todo(log, failed) == []  # a video that cannot be read is none the better for it


def test_a_checkpoint_keeps_sidecars(tmp_path: Path) -> None:
    log = said(tmp_path, ODD, PLAIN)
    known = log.last()
    write_checkpoint(log.folder, known)
    read = Log(log.folder).last()
    assert isinstance(read.base, Checkpoint)
    assert sorted(map(repr, read.words())) == sorted(map(repr, known.words()))
    assert named_pairs(read) == named_pairs(known) == {(stores.source_id(1), s.layer) for s in (ODD, PLAIN)}
    (live,) = (each for each in read.live() if each.id == stores.source_id(1))
    assert live.has_layer(ODD.layer) and live.has_layer("visual") and not live.has_layer("sidecar:other")


def test_a_checkpoint_of_a_checkpoint_without_sidecars_reads_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = said(tmp_path)
    with monkeypatch.context() as older:
        older.setattr("core.checkpoint.SCHEMA", SCHEMA.remove(SCHEMA.get_field_index("sidecars")))
        older.setattr("core.checkpoint._table", _older_table)
        path = write_checkpoint(log.folder, log.last())
    known = LastWords(Checkpoint.open(path))
    assert named_pairs(known) == set()
    word = Word("done", "films", b"9.mp4", "1", stores.source_id(2), sidecars=(PLAIN,))
    later = known.after([Entry(known.number + 1, (word,))])
    again = LastWords(Checkpoint.open(write_checkpoint(log.folder, later)))
    assert sorted(map(repr, again.words())) == sorted(map(repr, later.words()))
    assert named_pairs(again) == {(stores.source_id(2), PLAIN.layer)}


def _older_table(rows: list[dict[str, object]]) -> object:
    import pyarrow as pa

    schema = SCHEMA.remove(SCHEMA.get_field_index("sidecars"))
    return pa.Table.from_pylist([{k: v for k, v in row.items() if k != "sidecars"} for row in rows], schema)


def test_what_was_seen_without_sidecars_is_the_stamp_itself() -> None:
    assert seen_of("5-6", ()) == "5-6"
    seen = {seen_of("5-6", beside) for beside in ((), (PLAIN,), (ODD,), (ODD, PLAIN), (PLAIN, ODD))}
    assert len(seen) == 5


def test_a_sidecar_that_nobody_read_is_not_named(tmp_path: Path) -> None:
    log = said(tmp_path, PLAIN)
    store = stores.make(tmp_path)
    writer = Writer(store)
    beside = (replace(ODD, hash=""), PLAIN)
    writer.tell(stores.source_id(1), PLAIN.layer, ())
    writer.seen(Task(replace(stores.place(1), sidecars=beside), log.last().number), stores.source_id(1))
    writer.commit()
    word = store.log.last().place(stores.place(1))
    assert word is not None and word.sidecars == (PLAIN,)


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_the_lines_of_a_removed_video_go_with_a_compaction_and_are_read_again_once_it_is_back(
    tmp_path: Path, is_checkpointed: bool
) -> None:
    log = said(tmp_path, ODD, PLAIN)
    store = Store.open(tmp_path)
    place = replace(stores.place(1), sidecars=unread(ODD, PLAIN))
    writer = Writer(store)
    writer.removed(stores.source_id(1), store.log.last().number)
    writer.commit()
    compact(store, sorted(store.log.last().shards()))
    assert {winner.source for winner in log.last().winners()} == {stores.source_id(2)}
    assert named_pairs(log.last()) == set()
    if is_checkpointed:
        write_checkpoint(log.folder, log.last())
        log = Log(log.folder)
    assert todo(log, place, stores.place(1)) == []
    assert why_not(log.last(), place, Wish()) == "removed"
    assert todo(log, replace(place, stamp="2")) == [place.path]
    writer = Writer(store)
    writer.restored(stores.source_id(1), store.log.last().number)
    writer.commit()
    assert todo(log, place) == [place.path]


def test_lines_are_not_kept_of_a_video_that_is_removed_where_it_turns_up_anew(tmp_path: Path) -> None:
    log = said(tmp_path)
    store = Store.open(tmp_path)
    writer = Writer(store)
    writer.removed(stores.source_id(1), store.log.last().number)
    writer.commit()
    writer = Writer(store)
    writer.tell(stores.source_id(1), PLAIN.layer, ())
    copy = Place("films", b"copy.mp4", "9", sidecars=(PLAIN,))
    writer.seen(Task(copy, store.log.last().number), stores.source_id(1))
    writer.commit()
    assert named_pairs(log.last()) == set()
    assert log.last().shard_of(stores.source_id(1), PLAIN.layer) == ""
    assert todo(log, replace(copy, sidecars=unread(PLAIN))) == []
