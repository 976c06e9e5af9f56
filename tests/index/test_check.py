"""One flipped byte in anything committed is found, and what is damaged is refused in one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import core.log
from core import files, npy
from core.errors import SnapshotError
from core.log import Log, entry_numbers, entry_path
from core.rules import Word
from core.store import Store
from index import check, mapped
from index.build import build
from index.check import damage
from index.gc import collect
from index.part import About, Part, read
from index.snapshot import Snapshot
from tests.index.worlds import World, lived_in


@pytest.fixture
def lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A store with everything that a store can hold: also a checkpoint, and two snapshots."""
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 10)
    found = lived_in(tmp_path / "store", steps=12)
    build(found.store)
    found.add(2)
    build(found.store)
    return found


def committed(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name != "lock":
            yield path


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (at % 8)
    path.write_bytes(data)


def test_an_undamaged_store_is_said_to_be_whole(lived: World) -> None:
    assert list(damage(lived.store.root)) == []


def test_a_flipped_byte_in_any_committed_file_is_found_and_named(lived: World) -> None:
    chance = np.random.default_rng(0)
    seen = set()
    for path in committed(lived.store.root):
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, int(chance.integers(len(whole)))}:
            flipped(path, at)
            sentences = list(damage(lived.store.root))
            assert sentences, f"byte {at} of {path}"
            assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences)
            assert any(path.stem.partition(".")[0] in sentence for sentence in sentences), (path, sentences)
            path.write_bytes(whole)
        seen.add(path.relative_to(lived.store.root).parts[0])
    assert seen == {"CURRENT", "log", "parts", "probes.npy", "shards", "snapshots", "store.json"}
    assert list(damage(lived.store.root)) == []


def words(store: Store) -> set[Word]:
    return set(Log(store.root / "log").last().words())


def test_a_missing_file_is_found(lived: World) -> None:
    root, away = lived.store.root, lived.store.root.parent / "away"
    known = words(lived.store)
    not_told = set()
    for path in committed(root):
        path.rename(away)
        if not list(damage(root)):
            not_told.add(path)
            assert words(lived.store) == known
        away.rename(path)
    # Nothing published is no damage. The other two say the same, and gc takes the first entry away as well.
    checkpoint = next((root / "log").glob("*.checkpoint.parquet"))
    assert not_told == {root / "CURRENT", root / "log" / "000001.jsonl", checkpoint}


def test_a_missing_file_of_a_log_that_gc_went_over_is_found(lived: World) -> None:
    root, away = lived.store.root, lived.store.root.parent / "away"
    assert collect(lived.store, keep=1, age_s=0, written_age_s=0).log_files > 5
    assert list(damage(root)) == []
    known = words(lived.store)
    lowest = entry_path(root / "log", entry_numbers(root / "log")[0])
    for path in committed(root / "log"):
        path.rename(away)
        found = list(damage(root))
        # The lowest is told where it is not covered by the checkpoint: gc takes covered ones.
        assert found or (path == lowest and words(lived.store) == known), path
        away.rename(path)


def test_a_log_that_was_emptied_is_found(lived: World) -> None:
    log = lived.store.root / "log"
    for path in log.iterdir():
        path.unlink()
    told = f"{log} has neither its first entry nor a checkpoint."
    assert told in list(damage(lived.store.root))
    log.rmdir()
    assert told in list(damage(lived.store.root))


def test_any_flipped_byte_of_a_checkpoint_is_one_sentence(lived: World) -> None:
    path = next((lived.store.root / "log").glob("*.checkpoint.parquet"))
    whole = path.read_bytes()
    told = [f"{path} is damaged: its hash is not the one its manifest holds."]
    for at in range(0, len(whole), -(-len(whole) // 300)):
        flipped(path, at)
        assert list(check._of_log(path.parent, check._known(path.parent))) == [*told, *told], at
        path.write_bytes(whole)
    flipped(path, len(whole) // 2)
    assert list(damage(lived.store.root)) == told


def test_a_hole_in_the_log_is_found(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 100)
    lived.add(1)
    lived.add(1)
    last = lived.store.log.last().number
    (lived.store.root / "log" / f"{last - 1:06d}.jsonl").unlink()
    assert any("is missing; entries after it count for nothing." in line for line in damage(lived.store.root))


def test_a_damaged_file_of_a_snapshot_is_refused_in_one_sentence(lived: World) -> None:
    chance = np.random.default_rng(1)
    snapshot = Snapshot.open(lived.store)
    number, name = f"{snapshot.number:06d}", snapshot.parts[0].about.name
    del snapshot
    root = lived.store.root
    opened = [f"parts/{name}.faiss", f"parts/{name}.rows.npy"]
    opened += [f"snapshots/{number}/{end}" for end in ("snapshot.json", "sources.arrow", f"{name}.live.npy")]
    for path in (root / each for each in opened):
        whole = path.read_bytes()
        damaged = [bytearray(whole) for _ in range(10)]
        for data in damaged:
            data[int(chance.integers(len(data)))] ^= 255
        for bad in [*map(bytes, damaged), whole[:-1], whole[: len(whole) // 2], b"", whole + b"\0"]:
            path.write_bytes(bad)
            with pytest.raises(SnapshotError, match=r"^[^\n]*\.$"):
                Snapshot.open(lived.store)
        path.write_bytes(whole)
    Snapshot.open(lived.store)


def test_what_faiss_cannot_read_is_refused_even_where_its_hash_fits(lived: World, tmp_path: Path) -> None:
    parts = lived.store.root / "parts"
    name = Snapshot.open(lived.store).parts[0].about.name
    held = read(parts, name)
    path = tmp_path / f"{name}.faiss"
    shutil.copy(parts / f"{name}.rows.npy", tmp_path)
    whole = (parts / f"{name}.faiss").read_bytes()
    for bad in (b"XXXX" + whole[4:], whole[:-8], whole[:10]):
        path.write_bytes(bad)
        stamp = {"bytes": len(bad), "blake2b": files.hash_bytes(bad), "ends": files.hash_bytes(bad)}
        about = About.read(name, held | {"files": held["files"] | {path.name: stamp}})
        with pytest.raises(SnapshotError, match=r"is damaged: FAISS does not read it\."):
            Part.open(tmp_path, about)


def test_a_list_that_another_numpy_wrote_is_mapped_and_one_of_other_things_is_refused(tmp_path: Path) -> None:
    path, wanted = tmp_path / "x.npy", np.dtype("<i4")
    for held in (np.arange(5, dtype="<i4"), np.empty(0, "<i4"), np.arange(5, dtype="<i4")[::2]):
        np.save(path, held)
        assert mapped.open_npy(path, wanted, mapped.stamp(path)).tolist() == held.tolist()
        written = path.read_bytes()
        npy.write(path, [held])
        assert path.read_bytes() == written
    for other in (np.arange(5, dtype="<i8"), np.zeros((2, 2), "<i4"), np.zeros((), "<i4"), None):
        np.save(path, other) if other is not None else path.write_bytes(b"\x93NUM")
        with pytest.raises(SnapshotError, match=r"does not hold a list of int32\."):
            mapped.open_npy(path, wanted, mapped.stamp(path))
    np.save(path, np.arange(5, dtype="<i4"))
    text = path.read_bytes()
    path.write_bytes(
        text[:8] + (118 - 32).to_bytes(2, "little") + text[10:].replace(b" " * 32 + b"\n", b"\n")
    )
    assert mapped.open_npy(path, wanted, mapped.stamp(path)).tolist() == [0, 1, 2, 3, 4]
