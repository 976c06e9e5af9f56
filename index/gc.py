"""Remove what nothing can need any more: mark what is kept, sweep the rest. Killed, it is run again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import files
from core.checkpoint import Checkpoint, checkpoints
from core.errors import SnapshotError
from core.files import exists, names
from core.log import collectable, entry_numbers, entry_path, read_entry
from core.rules import Entry, LastWords
from core.store import FOLDERS, Store
from core.writer import SHARD_GOOD_SECONDS
from index import train
from index.build import locked
from index.snapshot import current, folder_of, numbers, published, read_manifest

KEEP = 3
DAY_S = 86_400.0
# What a writer may be about to use: it names no shard that is older than half of this.
LEAST_S = 2 * SHARD_GOOD_SECONDS


@dataclass(frozen=True, slots=True)
class Removed:
    """How many of each."""

    snapshots: int = 0
    parts: int = 0
    shards: int = 0
    log_files: int = 0
    leftovers: int = 0  # drafts and temps of crashed commands
    trained_indexes: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """All that goes, known before any of it does: what cannot be looked at stops gc before it began."""

    snapshots: Sequence[Path]
    parts: Sequence[str]
    shards: Sequence[Path]
    log_files: Sequence[Path]
    trained: Sequence[str]


def gc(store: Store, keep: int = KEEP, age_s: float = DAY_S) -> Removed:
    """Remove what no kept snapshot names, what counts for nothing and did not `age_s` ago, and leftovers.

    What writers make (shards, log files, drafts and temps) stays two hours, however short `age_s` is.
    """
    return collect(store, keep, age_s, max(age_s, LEAST_S))


def collect(store: Store, keep: int, age_s: float, written_age_s: float) -> Removed:
    """The same, with an age for what writers make. A short one is only for where nobody writes."""
    with locked(store):
        # As of before anything is read: what appears while this process sleeps is not old when it wakes.
        ending = _ending(store, keep, time.time(), age_s, written_age_s)
        _remove(store.root, ending)
        return Removed(
            len(ending.snapshots),
            len(ending.parts),
            len(ending.shards),
            len(ending.log_files),
            _sweep(store.root, written_age_s),
            len(ending.trained),
        )


def freed_bytes(store: Store) -> int:
    """How much `gc` would free now. Nothing is locked: a guess, while others work."""
    ending = _ending(store, KEEP, time.time(), DAY_S, DAY_S)
    parts = _files_of(store.root / "parts", ending.parts)
    trained = _files_of(store.root / train.FOLDER, ending.trained)
    paths = [*ending.snapshots, *parts, *ending.shards, *ending.log_files, *trained]
    return sum(sum(files.sizes(path).values()) for path in paths)


def _ending(store: Store, keep: int, now: float, age_s: float, written_age_s: float) -> Ending:
    old_s = now - written_age_s
    kept = _kept_snapshots(store.root, keep, now - age_s)
    parts, shards, trained = _named(store.root, kept)
    shards |= _counting(store, old_s)
    return Ending(
        snapshots=[folder_of(store.root, n) for n in numbers(store.root) if n not in kept],
        parts=_ending_names(store.root / "parts", parts),
        shards=_ending_shards(store.root / "shards", shards, old_s),
        log_files=_ending_log(store.root / "log", old_s),
        trained=_ending_names(store.root / train.FOLDER, trained),
    )


def _kept_snapshots(root: Path, keep: int, old_s: float) -> set[int]:
    """The newest, the published one, and those that a cursor may still use."""
    there = numbers(root)
    kept = set(there[-keep:]) if keep else set()
    if current(root) is not None:
        kept.add(published(root)[0])
    # Publishing another one touches the folder of the one that it takes down.
    return kept | {number for number in there if _is_young(folder_of(root, number), old_s)}


def _is_young(path: Path, old_s: float) -> bool:
    with files.reading(path):
        return path.stat().st_mtime > old_s


def _named(root: Path, snapshots: Iterable[int]) -> tuple[set[str], set[str], set[str]]:
    """The parts of these snapshots, the shards they need for exact rows, and what they are copies of."""
    parts: set[str] = set()
    shards: set[str] = set()
    trained: set[str] = set()
    for number in sorted(snapshots):
        try:
            held = read_manifest(folder_of(root, number))
        except SnapshotError as error:
            raise SnapshotError(f"Nothing was removed, as it is not known what to keep: {error}") from error
        for about in held["parts"]:
            parts.add(about["name"])
            shards |= set(about["shards"])
            trained.add(about.get("trained", ""))
        parts |= {about["name"] for about in held.get("words", ())}
    return parts, shards, trained


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


def _ending_names(folder: Path, kept: set[str]) -> list[str]:
    """Also files that belong to nothing."""
    return sorted({name.partition(".")[0] for name in names(folder)} - kept)


def _ending_shards(folder: Path, kept: set[str], old_s: float) -> list[Path]:
    """Shards that count for nothing, but none so young that its entry may be about to be linked."""
    there = [folder / name for name in names(folder) if name not in kept]
    return [path for path in there if not _is_young(path, old_s)]


def _ending_log(folder: Path, old_s: float) -> list[Path]:
    with files.reading(folder):
        return collectable(folder, old_s)


def _remove(root: Path, ending: Ending) -> None:
    """Each before what it needs. Of a part the JSON first: without it the others are none."""
    for path in ending.snapshots:
        files.retire(path)
    for folder, stems in ((root / "parts", ending.parts), (root / train.FOLDER, ending.trained)):
        for path in _files_of(folder, stems):
            with files.writing(path):
                path.unlink(missing_ok=True)
    for path in ending.shards:
        files.retire(path)
    for path in ending.log_files:
        with files.writing(path):
            path.unlink(missing_ok=True)


def _files_of(folder: Path, stems: Sequence[str]) -> list[Path]:
    mine = set(stems)
    there = [name for name in names(folder) if name.partition(".")[0] in mine]
    return [folder / name for name in sorted(there, key=lambda name: not name.endswith(".json"))]


def _sweep(root: Path, age_s: float) -> int:
    swept = 0
    for folder in (root, *(root / name for name in FOLDERS)):
        if exists(folder):
            with files.writing(folder):
                swept += files.sweep(folder, age_s)
    return swept
