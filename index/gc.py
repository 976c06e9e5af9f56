"""Remove what nothing can need any more: mark what is kept, sweep the rest. Killed, it is run again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core import files
from core.checkpoint import Checkpoint, checkpoints
from core.errors import SnapshotError
from core.log import collectable, entry_numbers, entry_path, read_entry
from core.rules import Entry, LastWords
from core.store import Store
from index.build import locked
from index.snapshot import CURRENT, folder_of, numbers, published, read_manifest

KEEP = 3
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Removed:
    """How many of each."""

    snapshots: int = 0
    parts: int = 0
    shards: int = 0
    log_files: int = 0
    leftovers: int = 0  # drafts and temps of crashed commands


def gc(store: Store, keep: int = KEEP, age_s: float = DAY_S) -> Removed:
    """Remove what no kept snapshot names, what counts for nothing and did not `age_s` ago, and leftovers."""
    with locked(store):
        # As of before anything is read: what appears while this process sleeps is not old when it wakes.
        old_s = time.time() - age_s
        kept = _kept_snapshots(store.root, keep, old_s)
        parts, shards = _named(store.root, kept)
        shards |= _counting(store, old_s)
        snapshots = [n for n in numbers(store.root) if n not in kept]
        for number in snapshots:
            files.retire(folder_of(store.root, number))
        return Removed(
            len(snapshots),
            _remove_parts(store.root / "parts", parts),
            _remove_shards(store.root / "shards", shards, old_s),
            _remove_log(store.root / "log", old_s),
            _sweep(store.root, age_s),
        )


def _kept_snapshots(root: Path, keep: int, old_s: float) -> set[int]:
    """The newest, the published one, and those that a cursor may still use."""
    there = numbers(root)
    kept = set(there[-keep:]) if keep else set()
    if (root / CURRENT).exists():
        kept.add(published(root)[0])
    # Publishing another one touches the folder of the one that it takes down.
    return kept | {number for number in there if _is_young(folder_of(root, number), old_s)}


def _is_young(path: Path, old_s: float) -> bool:
    return path.stat().st_mtime > old_s


def _named(root: Path, snapshots: Iterable[int]) -> tuple[set[str], set[str]]:
    """The parts of these snapshots, and the shards they need for exact rows."""
    parts: set[str] = set()
    shards: set[str] = set()
    for number in sorted(snapshots):
        try:
            held = read_manifest(folder_of(root, number))
        except SnapshotError as error:
            raise SnapshotError(f"Nothing was removed, as it is not known what to keep: {error}") from error
        for about in held["parts"]:
            parts.add(about["name"])
            shards |= set(about["shards"])
    return parts, shards


def _counting(store: Store, old_s: float) -> set[str]:
    """The shards that count, or did at some time since then."""
    folder = store.root / "log"
    young = [n for n in entry_numbers(folder) if _is_young(entry_path(folder, n), old_s)]
    recent = (read_entry(folder, number) for number in young)
    shards = {entry.shard for entry in recent if entry and entry.shard}
    return shards | store.log.last().shards() | _as_of_then(folder, old_s).shards()


def _as_of_then(folder: Path, old_s: float) -> LastWords:
    """The view of the log then: gc keeps what it takes to read that."""
    old = [path for _, path in checkpoints(folder) if not _is_young(path, old_s)]
    base = LastWords(Checkpoint.open(old[-1])) if old else LastWords()
    return base.after(_entries_of_then(folder, base.number, old_s))


def _entries_of_then(folder: Path, number: int, old_s: float) -> Iterator[Entry]:
    while entry := read_entry(folder, number := number + 1):
        if _is_young(entry_path(folder, number), old_s):
            return
        yield entry


def _remove_parts(folder: Path, kept: set[str]) -> int:
    """The JSON first: a part without it is none. Then all files that belong to no part."""
    there = {path.name.partition(".")[0] for path in folder.glob("[!.]*")}
    ending = sorted(there - kept)
    for name in ending:
        with files.writing(folder):
            for suffix in ("json", "rows.npy", "faiss"):
                (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return len(ending)


def _remove_shards(folder: Path, kept: set[str], old_s: float) -> int:
    """Shards that count for nothing, but none so young that its entry may be about to be linked."""
    there = [path for path in sorted(folder.glob("[!.]*")) if path.name not in kept]
    ending = [path for path in there if not _is_young(path, old_s)]
    for path in ending:
        files.retire(path)
    return len(ending)


def _remove_log(folder: Path, old_s: float) -> int:
    ending = collectable(folder, old_s)
    for path in ending:
        with files.writing(path):
            path.unlink(missing_ok=True)
    return len(ending)


def _sweep(root: Path, age_s: float) -> int:
    folders = [root, *(root / name for name in ("log", "parts", "shards", "snapshots", "trained"))]
    return sum(files.sweep(folder, age_s) for folder in folders if folder.is_dir())
