"""Building keeps the parts that are good, makes what is missing, and never answers less than before."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core import files
from core.errors import SnapshotError, StoreError
from core.store import Store
from core.types import Float32Array, IntArray, Kind
from index import build as building
from index import making, part
from index.build import build, build_snapshot, publish
from index.check import damage
from index.part import About, Run
from index.plan import Plan
from index.snapshot import Snapshot, current, numbers
from tests.index.machine import opened
from tests.index.test_snapshot import assert_answers
from tests.index.worlds import World, lived_in, make, source_id, world


def part_files(root: Path) -> dict[str, int]:
    """Names and inodes."""
    return {path.name: path.stat().st_ino for path in (root / "parts").iterdir()}


def tree(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def names(world: World, number: int) -> set[str]:
    return {part.about.name for part in Snapshot.open(world.store, number).parts}


def test_a_second_build_takes_over_the_parts_of_the_first(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(10)
    first, before = build(lived.store), part_files(lived.store.root)
    lived.add(3)
    built = build_snapshot(lived.store)
    after = part_files(lived.store.root)
    assert before.items() <= after.items()
    assert (built.parts_kept, built.parts_made) == (2, 2)
    assert names(lived, first) < names(lived, built.number)
    assert_answers(lived, Snapshot.open(lived.store))


@pytest.mark.parametrize("factory", ["Flat", "IVF2,SQ8"])
def test_adding_replacing_and_retiring_make_parts_of_the_new_rows_and_read_no_others(
    tmp_path: Path, factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = part.stored

    def counted(store: Store, shard: str, kind: Kind, at: IntArray) -> Float32Array:
        read.append(len(at))
        return real(store, shard, kind, at)

    monkeypatch.setattr(making, "stored", counted)
    lived = world(tmp_path / "store")
    lived.add(20)
    factories: dict[Kind, str] = {"frame": factory, "clip": factory}
    build_snapshot(lived.store, factories=factories, publish=False)

    def made_by(change: Callable[[], None]) -> tuple[int, int, int]:
        """Parts kept, parts made, and rows read for these."""
        change()
        read.clear()
        built = build_snapshot(lived.store, publish=False)
        assert_answers(lived, opened(lived.store, built.number))
        return built.parts_kept, built.parts_made, sum(read)

    def rows(source: str) -> int:
        return sum(len(segments) for segments, _ in lived.held[source].values())

    assert made_by(lambda: lived.add(1)) == (2, 2, rows(source_id(21)))
    assert made_by(lambda: lived.replace(source_id(3))) == (4, 2, rows(source_id(3)))
    assert made_by(lambda: lived.remove(source_id(4))) == (6, 0, 0)
    assert made_by(lambda: lived.restore(source_id(4))) == (6, 0, 0)


def test_a_removal_needs_no_new_part(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(20)
    build(lived.store)
    before = part_files(lived.store.root)
    lived.remove(source_id(1))
    assert build_snapshot(lived.store).parts_made == 0
    assert part_files(lived.store.root) == before
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_part_that_is_a_fifth_dead_is_made_anew(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(10)
    first = build(lived.store)
    for number in range(1, 7):
        lived.remove(source_id(number))
    built = build_snapshot(lived.store)
    assert (built.parts_kept, built.parts_made) == (0, 2)
    assert not names(lived, first) & names(lived, built.number)
    assert all(part.live == part.about.rows for part in Snapshot.open(lived.store).parts)
    assert_answers(lived, Snapshot.open(lived.store))


def test_parts_are_merged_once_what_is_smaller_and_new_is_as_much(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(50)
    build(lived.store)
    large = max(Snapshot.open(lived.store).parts, key=lambda part: part.live).about.name
    most = 0
    for _ in range(12):
        lived.add(1)
        build(lived.store)
        snapshot = Snapshot.open(lived.store)
        sizes = sorted(part.about.rows for part in snapshot.parts_of("frame"))
        most = max(most, len(sizes))
        assert large in {part.about.name for part in snapshot.parts}
        assert_answers(lived, snapshot)
    assert 2 < most < 6


def test_a_part_is_copied_a_few_times_however_often_little_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    merge = making.merge

    def counted(store: Store, plan: Plan, olds: Sequence[tuple[About, Sequence[Run]]]) -> About:
        copied.extend(about.rows for about, _ in olds if about.kind == "frame")
        return merge(store, plan, olds)

    monkeypatch.setattr(making, "merge", counted)
    lived = world(tmp_path / "store")
    for _ in range(16):
        lived.add(1)
        build(lived.store)
    rows = len(lived.rows("frame")[0])
    assert rows < sum(copied) < 4 * rows


def test_a_build_without_new_rows_merges_nothing(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    for count in (20, 1, 1):
        lived.add(count)
        build(lived.store)
    before = part_files(lived.store.root)
    lived.remove(source_id(1))
    built = build_snapshot(lived.store)
    assert (built.parts_kept, built.parts_made) == (6, 0)
    assert part_files(lived.store.root) == before


def test_after_a_compaction_the_rows_of_the_new_shard_are_searched(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    lived.add(4)
    build(lived.store)
    lived.compact()
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_publication_that_was_lost_is_built_again_under_a_new_number(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    root = lived.store.root
    shutil.rmtree(root / "snapshots")
    (root / "snapshots").mkdir()
    with pytest.raises(SnapshotError, match=r"000001 is missing"):
        Snapshot.open(lived.store)
    built = build_snapshot(lived.store)
    assert (built.number, built.made, built.published) == (2, True, True)
    assert list(damage(root)) == []
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_build_publishes_again_where_the_seal_is_not_that_of_the_snapshot(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    number = build(lived.store)
    (lived.store.root / "CURRENT").write_text(f"{number:06d} {'0' * 32}\n")
    assert build_snapshot(lived.store) == building.Built(number, made=False, published=True)
    assert_answers(lived, Snapshot.open(lived.store))


def test_who_went_back_stays_there_until_something_is_new(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    first = build(lived.store)
    lived.add(3)
    second = build(lived.store)
    publish(lived.store, first)
    before = tree(lived.store.root)
    assert build_snapshot(lived.store) == building.Built(second, made=False, published=False, stays=first)
    assert tree(lived.store.root) == before
    lived.add(1)
    os.utime(lived.store.root / "CURRENT", (2**32, 2**32))  # a clock that was wrong does not keep it there
    built = build_snapshot(lived.store)
    assert (built.number, built.published, built.stays) == (3, True, 0)
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_fresh_build_replaces_no_file_of_a_part_that_is_whole(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    before = part_files(lived.store.root)
    build_snapshot(lived.store, fresh=True)
    assert part_files(lived.store.root) == before
    damaged = next((lived.store.root / "parts").glob("*.faiss"))
    damaged.write_bytes(b"")
    build_snapshot(lived.store, fresh=True)
    changed = {name for name, inode in part_files(lived.store.root).items() if before[name] != inode}
    assert changed == {damaged.name}
    assert list(damage(lived.store.root)) == []


def test_with_nothing_new_nothing_is_written(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    first = build(lived.store)
    before = tree(lived.store.root)
    built = build_snapshot(lived.store)
    assert (built.number, built.made, built.published) == (first, False, False)
    assert tree(lived.store.root) == before


def test_a_build_that_does_not_publish_leaves_the_answers_and_a_later_one_publishes_it(
    tmp_path: Path,
) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    before = current(lived.store.root)
    lived.add(3)
    waiting = build_snapshot(lived.store, publish=False)
    assert waiting.made
    assert current(lived.store.root) == before
    built = build_snapshot(lived.store)
    assert (built.number, built.made, built.published) == (waiting.number, False, True)
    assert_answers(lived, Snapshot.open(lived.store))


def test_publishing_by_itself_never_goes_back_to_an_older_view(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    lived.add(3)
    newest = build(lived.store)
    behind = lived.store.log.last().number - 1
    entry = lived.store.root / "log" / f"{behind + 1:06d}.jsonl"
    entry.rename(tmp_path / "away")  # as a copy of the store made without its last entry
    store = type(lived.store).open(lived.store.root)
    built = build_snapshot(store)
    assert built.made
    assert not built.published
    assert Snapshot.open(store).number == newest


def test_an_empty_store_has_nothing_to_build_from(tmp_path: Path) -> None:
    store = make(tmp_path / "store")
    with pytest.raises(SnapshotError, match=r"holds nothing to build from; `extract` fills it\."):
        build(store)
    assert numbers(store.root) == []


def test_when_all_is_removed_nothing_is_answered(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(1)
    build(lived.store)
    lived.remove(source_id(1))
    build(lived.store)
    snapshot = Snapshot.open(lived.store)
    assert snapshot.rows == {}
    assert [len(hits.scores) for hits in snapshot.search("frame", lived.vectors(2), 3)] == [0, 0]


def test_what_is_removed_before_the_first_build_is_in_none(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(1)
    lived.remove(source_id(1))
    build(lived.store)
    assert Snapshot.open(lived.store).rows == {}


@pytest.mark.parametrize("is_whole", [True, False])
def test_when_no_row_is_left_on_the_disk_either_a_build_publishes_that(
    tmp_path: Path, *, is_whole: bool
) -> None:
    lived = world(tmp_path / "store")
    lived.add(1)
    number = build(lived.store)
    lived.remove(source_id(1))
    lived.compact()
    assert not lived.store.log.last().shards()
    if not is_whole:
        (lived.store.root / "snapshots" / f"{number:06d}" / "sources.arrow").write_bytes(b"")
    assert build(lived.store) == number + 1
    snapshot = Snapshot.open(lived.store)
    assert (snapshot.number, snapshot.rows) == (number + 1, {})


def test_a_fresh_build_mends_damaged_parts(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    for path in (lived.store.root / "parts").glob("*.faiss"):
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert list(damage(lived.store.root))
    build_snapshot(lived.store, fresh=True)
    assert list(damage(lived.store.root)) == []
    assert_answers(lived, Snapshot.open(lived.store))


def test_rows_of_a_damaged_shard_are_not_built_into_a_part(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    for path in (lived.store.root / "shards").glob("*/clip.npy"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    with pytest.raises(StoreError, match=r"clip\.npy is damaged: .* `extract --again` makes it anew"):
        build(lived.store)


def test_a_build_goes_on_where_what_is_published_is_damaged(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    next((lived.store.root / "parts").glob("*.json")).write_text("{}")
    (lived.store.root / "snapshots" / "000001" / "sources.arrow").write_bytes(b"")
    (lived.store.root / "CURRENT").write_text("?")
    assert build(lived.store) == 2
    assert_answers(lived, Snapshot.open(lived.store))


def test_what_does_not_open_is_not_published(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    first = build(lived.store)
    lived.add(1)
    second = build_snapshot(lived.store, publish=False).number
    (lived.store.root / "snapshots" / f"{second:06d}" / "sources.arrow").unlink()
    with pytest.raises(SnapshotError, match=r"sources\.arrow is missing\."):
        publish(lived.store, second)
    assert Snapshot.open(lived.store).number == first


def test_a_full_disk_is_one_sentence_and_what_is_published_still_answers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    published = Snapshot.open(lived.store)
    lived.add(60)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (1_000, 4_000, 9_000, 14_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(StoreError, match=r"cannot be written: File too large\."):
                build(lived.store)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert Snapshot.open(lived.store).number == published.number
    assert "faiss" not in capfd.readouterr().err, "FAISS prints"
    assert files.sweep(lived.store.root / "parts", 0) == files.sweep(lived.store.root / "snapshots", 0) == 0
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))


def test_what_a_build_that_was_not_published_was_asked_for_does_not_hold_on(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(20)
    build_snapshot(lived.store, wanted=0.99)
    build_snapshot(lived.store, publish=False, factories={"frame": "IVF2,SQ8"}, wanted=0.9)
    assert not build_snapshot(lived.store).made
    lived.add(1)
    built = build_snapshot(lived.store)
    held = Snapshot.open(lived.store).held
    assert (built.published, built.parts_kept) == (True, 2)
    assert (held["factories"]["frame"], held["asked"], held["recall_wanted"]) == ("Flat", {}, 0.99)
    publish(lived.store, 2)
    lived.add(1)
    build_snapshot(lived.store)
    held = Snapshot.open(lived.store).held
    assert (held["asked"], held["recall_wanted"]) == ({"frame": "IVF2,SQ8"}, 0.9)


def test_parts_are_merged_to_what_memory_holds_and_no_further(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    for _ in range(3):
        lived.add(10)
    memory_bytes = 3 * 4 * 8 * 8  # of 8 rows a part
    build_snapshot(lived.store, memory_bytes=memory_bytes)
    lived.add(1)
    build_snapshot(lived.store, memory_bytes=memory_bytes)
    parts = Snapshot.open(lived.store).parts
    assert len(parts) > 8
    assert max(part.about.rows for part in parts) <= 8
    assert_answers(lived, Snapshot.open(lived.store))
