from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.log import Task
from core.store import Store
from core.types import Line, Sidecar, Thumbs
from core.writer import MAX_BYTES, Writer, compact
from index.worn import MANY, advice, worn
from tests.core import stores

FULL = 12  # rows of a shard here
LINES = tuple(Line(float(n), n + 1.0, "x") for n in range(4))


def beside(number: int, hash: str) -> Sidecar:
    return Sidecar(b"%d.srt" % number, hash, hash * 32)


def say(store: Store, number: int, *sidecars: Sidecar) -> None:
    writer = Writer(store)
    for sidecar in sidecars:
        writer.tell(stores.source_id(number), sidecar.layer, LINES)
    place = replace(stores.place(number), sidecars=sidecars)
    writer.seen(Task(place, store.log.last().number), stores.source_id(number))
    writer.commit()


def test_a_shard_of_lines_counts_by_its_lines(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    stores.fill(store, [1, 2])
    for number in (1, 2):
        say(store, number, beside(number, "a"))
    groups = worn(store, FULL)
    assert [len(group) for group in groups] == [2]  # the videos; four lines of twelve are no small shard
    assert [len(group) for group in worn(store, 100)] == [4]


def test_lines_that_nothing_names_wear_a_shard_and_go(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    stores.fill(store, [1])
    say(store, 1, beside(1, "a"))
    (old,) = store.log.last().shards() - {store.log.last().shard_of(stores.source_id(1), "visual")}
    say(store, 1)
    assert any(old in group for group in worn(store, FULL))
    compact(store, [old])
    assert old not in store.log.last().shards()
    assert worn(store, FULL) == []


def test_lines_of_a_removed_video_wear_a_shard_and_go(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    stores.fill(store, [1, 2])
    say(store, 1, beside(1, "a"))
    remove(store, 1)
    for group in worn(store, FULL):
        compact(store, group)
    assert {winner.source for winner in store.log.last().winners()} == {stores.source_id(2)}
    assert worn(store, FULL) == []


def remove(store: Store, number: int) -> None:
    writer = Writer(store)
    writer.removed(stores.source_id(number), store.log.last().number)
    writer.commit()


def test_how_much_may_be_dead_is_what_is_asked_for(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    for number in range(1, 11):
        stores.add(writer, number)
    writer.commit()
    remove(store, 1)
    assert worn(store, FULL) == worn(store, FULL, most_dead=0.1) == []
    assert worn(store, FULL, most_dead=0) == [sorted(store.log.last().shards())]


def test_a_shard_of_thumbnails_counts_by_their_bytes(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    tile = bytes(MAX_BYTES // 5)  # small, but only five fit
    for number in range(1, 7):
        writer = Writer(store)
        stores.add(writer, number, thumbs=Thumbs((0.0,), (tile,)))
        writer.commit()
    assert [len(group) for group in worn(store, 1000)] == [5]


def test_thumbnails_of_a_removed_video_count_for_nothing(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    writer = Writer(store)
    stores.add(writer, 1, thumbs=Thumbs((0.0,), (bytes(MAX_BYTES),)))
    stores.add(writer, 2)
    writer.commit()
    stores.fill(store, [3])
    assert worn(store, 1000) == []
    writer.removed(stores.source_id(1), store.log.last().number)
    writer.commit()
    (group,) = worn(store, 1000)
    assert len(group) == 2
    compact(store, group)
    assert worn(store, 1000) == []


def test_a_build_advises_to_compact_many_small_shards_and_those_of_which_much_is_dead(tmp_path: Path) -> None:
    store = stores.make(tmp_path)
    stores.fill(store, range(1, MANY))
    assert advice(store, 3 * (MANY - 1)) == ""
    says = "9 of 45 stored rows are dead; `cinedex index compact` lets go of them"
    assert (advice(store, 36), advice(store, 35).partition(" ")[2]) == ("", says.partition(" ")[2])
    stores.fill(store, [MANY])
    assert advice(store, 48) == "16 of 16 shards are small; `cinedex index compact` makes few of them"
