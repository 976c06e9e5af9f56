"""One flipped byte in anything committed is found, and what is damaged is refused in one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import core.log
from core import files
from core.errors import SnapshotError
from index.build import build
from index.check import damage
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


def test_a_missing_file_is_found(lived: World) -> None:
    for path in committed(lived.store.root):
        newest = path.parent.name == "log" and path.name == f"{lived.store.log.last().number:06d}.jsonl"
        covered = path.parent.name == "log"  # by a checkpoint, or it is one: all words are still known
        if path.name == "CURRENT" or newest or covered:
            continue
        path.rename(lived.store.root.parent / "away")
        assert list(damage(lived.store.root)), path
        (lived.store.root.parent / "away").rename(path)


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
    mapped = [f"parts/{name}.faiss", f"parts/{name}.rows.npy"]
    mapped += [f"snapshots/{number}/{end}" for end in ("snapshot.json", "sources.arrow", f"{name}.live.npy")]
    for path in (root / each for each in mapped):
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
