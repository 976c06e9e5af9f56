"""gc removes what nothing can need any more, and only that."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import core.log
from core import files
from core.errors import SnapshotError
from core.log import Log, entry_numbers
from core.rules import Entry
from core.store import Store
from index.build import build, build_snapshot, publish
from index.check import damage
from index.gc import LEAST_S, Removed, collect, gc
from index.snapshot import Snapshot, numbers
from tests.index.test_snapshot import assert_answers
from tests.index.worlds import World, lived_in, source_id, world

DAY_S = 86_400.0


def age(path: Path, seconds: float) -> None:
    """As if everything in a folder had been made so long ago."""
    then = time.time() - seconds
    for each in [path, *path.rglob("*")]:
        os.utime(each, (then, then))


def shards(world: World) -> set[str]:
    return {path.name for path in (world.store.root / "shards").iterdir()}


def parts(world: World) -> set[str]:
    return {path.stem for path in (world.store.root / "parts").glob("*.json")}


def builds(world: World, count: int) -> None:
    """Snapshots with parts of their own."""
    for _ in range(count):
        world.add(2)
        build_snapshot(world.store, fresh=True)


def test_a_young_store_keeps_everything(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    builds(lived, 5)
    before = sorted(lived.store.root.rglob("*"))
    assert gc(lived.store) == Removed()
    assert sorted(lived.store.root.rglob("*")) == before


def test_the_last_three_snapshots_and_the_published_one_stay_with_all_they_need(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    builds(lived, 6)
    publish(lived.store, 2)
    age(lived.store.root, 2 * DAY_S)
    kept = [Snapshot.open(lived.store, number) for number in (2, 4, 5, 6)]
    needed = {part.about.name for view in kept for part in view.parts}
    needed |= {words.about.name for view in kept for words in view.words}
    removed = gc(lived.store)
    assert removed.snapshots == 2
    assert numbers(lived.store.root) == [2, 4, 5, 6]
    assert parts(lived) == needed
    assert {path.name.partition(".")[0] for path in (lived.store.root / "parts").iterdir()} == needed
    assert list(damage(lived.store.root)) == []
    for number in numbers(lived.store.root):
        snapshot = Snapshot.open(lived.store, number)
        videos = [source for source in snapshot.sources.ids() if source.startswith("v-")]
        assert all(len(snapshot.vectors(source, "frame")[0]) for source in videos)
    assert gc(lived.store) == Removed()


def test_a_snapshot_that_was_taken_down_stays_a_day_more(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    builds(lived, 6)
    publish(lived.store, 2)
    age(lived.store.root, 2 * DAY_S)
    publish(lived.store, 6)
    gc(lived.store)
    assert numbers(lived.store.root) == [2, 4, 5, 6]
    age(lived.store.root, 2 * DAY_S)
    gc(lived.store, keep=1)
    assert numbers(lived.store.root) == [6]


def test_shards_go_a_day_after_they_were_replaced_and_not_before(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    for _ in range(3):
        lived.add(2)
    age(lived.store.root, 3 * DAY_S)
    before = shards(lived)
    lived.compact()
    assert gc(lived.store).shards == 0
    assert before < shards(lived)
    age(lived.store.root, 2 * DAY_S)
    assert gc(lived.store).shards == 3
    assert shards(lived) == lived.store.log.last().shards()
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_shard_that_is_about_to_be_named_stays_at_any_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    real = Log.append

    def late(log: Log, entry: Entry) -> bool:
        gc(Store.open(lived.store.root), keep=1, age_s=0)
        return real(log, entry)

    monkeypatch.setattr(Log, "append", late)
    lived.add(3)
    assert list(damage(lived.store.root)) == []
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_short_age_is_two_hours_for_what_writers_make(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(2)
    lived.compact()
    left = [
        lived.store.root / name for name in ("shards/unnamed", f"shards/{files.DRAFT}x", f"{files.TEMP}x")
    ]
    for path in left:
        path.mkdir()
    age(lived.store.root, LEAST_S - 60)
    assert gc(lived.store, age_s=0) == Removed()
    age(lived.store.root, LEAST_S + 60)
    removed = gc(lived.store, age_s=0)
    assert (removed.shards, removed.leftovers) == (2, 2)
    assert not any(path.exists() for path in left)


def test_a_replaced_shard_stays_while_a_kept_snapshot_needs_its_rows(tmp_path: Path) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(3)
    build(lived.store)
    stored = Snapshot.open(lived.store).vectors(source_id(1), "frame")[1]
    lived.compact()
    age(lived.store.root, 2 * DAY_S)
    gc(lived.store)
    assert (Snapshot.open(lived.store).vectors(source_id(1), "frame")[1] == stored).all()
    builds(lived, 3)
    age(lived.store.root, 2 * DAY_S)
    gc(lived.store)
    assert shards(lived) == lived.store.log.last().shards()


def test_a_shard_that_lost_all_its_rows_goes_a_day_later(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(1)
    age(lived.store.root, 3 * DAY_S)
    lived.replace(source_id(1))
    assert gc(lived.store).shards == 0
    age(lived.store.root, 2 * DAY_S)
    assert gc(lived.store).shards == 1


def test_rows_of_a_removed_source_stay_so_that_it_can_be_restored(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(2)
    lived.remove(source_id(1))
    lived.remove(source_id(2))
    age(lived.store.root, 2 * DAY_S)
    gc(lived.store)
    lived.restore(source_id(1))
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))


def test_what_crashed_commands_left_goes_after_a_day(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    root = lived.store.root
    left = [
        *(root / name / f"{files.DRAFT}x" for name in ("parts", "shards", "snapshots")),
        *(root / "snapshots" / f"{files.GONE}x", root / "shards" / "an-unnamed-one"),
    ]
    for path in left:
        path.mkdir()
        (path / "file").write_text("half")
    temps = [root / f"{files.TEMP}x", root / "log" / f"{files.TEMP}x"]
    for path in temps:
        path.write_text("half")
    assert gc(lived.store).leftovers == 0
    assert all(path.exists() for path in left + temps)
    for path in left + temps:
        os.utime(path, (0, 0))
    removed = gc(lived.store)
    assert (removed.leftovers, removed.shards) == (6, 1)
    assert not any(path.exists() for path in left + temps)
    assert_answers(lived, Snapshot.open(lived.store))


def test_entries_that_an_old_checkpoint_covers_go_and_no_word_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 8)
    lived = lived_in(tmp_path / "store", steps=25)
    folder = lived.store.root / "log"
    highest = entry_numbers(folder)[-1]
    assert len(list(folder.glob("*.checkpoint.parquet"))) > 1
    assert gc(lived.store).log_files == 0
    age(lived.store.root, 2 * DAY_S)
    assert gc(lived.store).log_files > 8
    assert len(list(folder.glob("*.checkpoint.parquet"))) == 1
    assert entry_numbers(folder)[-1] == highest
    lived.store = Store.open(lived.store.root)
    lived.add(2)
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))
    assert list(damage(lived.store.root)) == []


def test_gc_removes_nothing_where_it_cannot_tell_what_must_stay(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    builds(lived, 5)
    age(lived.store.root, 2 * DAY_S)
    (lived.store.root / "snapshots" / "000004" / "snapshot.json").write_text("{}")
    before = sorted(lived.store.root.rglob("*"))
    with pytest.raises(SnapshotError, match=r"^Nothing was removed, as .* what to keep: .*000004"):
        gc(lived.store)
    assert sorted(lived.store.root.rglob("*")) == before


@pytest.mark.parametrize("seed", range(4))
def test_however_a_store_is_used_gc_changes_no_answer(tmp_path: Path, seed: int) -> None:
    lived = lived_in(tmp_path / "store", seed)
    for _ in range(5):
        for _ in range(3):
            lived.step()
        build_snapshot(lived.store, part_rows=12)
        collect(lived.store, 1, 0, 0)
        assert_answers(lived, Snapshot.open(Store.open(lived.store.root)))
        assert len(numbers(lived.store.root)) == 1
        assert list(damage(lived.store.root)) == []
