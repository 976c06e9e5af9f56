"""Every byte that was ever committed to a store, compared with the hash it was committed with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from core import files
from core.checkpoint import checkpoints
from core.errors import Error, SnapshotError, StoreError
from core.files import exists, names
from core.log import Log, entry_numbers, entry_path, read_entry
from core.shard import Shard, manifest_hash
from core.store import PROBES
from index import mapped, named, train
from index.snapshot import CURRENT, current, folder_of, manifest_seal, numbers, published, read_manifest

_CURES = (
    (
        ("parts", train.FOLDER, "snapshots", CURRENT),
        "`cinedex index build --fresh` makes parts, trainings and snapshots anew; "
        "`cinedex index gc --keep 1 --age-s 0` takes what is damaged.",
    ),
    (
        ("shards",),
        "`extract --again` makes the shards of its videos anew, or a backup has them; "
        "`cinedex index gc` takes what is damaged, a day after it was replaced.",
    ),
    (
        ("log", "store.json", PROBES),
        "Of the log, store.json and probes a backup has what is damaged, nothing else; a checkpoint may be "
        "removed where all entries up to its number are there.",
    ),
)


def cures(root: Path, sentences: Sequence[str]) -> list[str]:
    """What makes anew what these name."""
    return [
        cure
        for names, cure in _CURES
        if any(str(root / name) in each for name in names for each in sentences)
    ]


def damage(root: Path) -> Iterator[str]:
    """One sentence for each file that is not as it was written, or missing where another names it."""
    known = _known(root / "log")
    checks = (
        _of_store(root),
        _of_log(root / "log", known),
        _of_shards(root, known),
        _of_snapshots(root, known),
        _of_parts(root / "parts"),
        _of_parts(root / train.FOLDER),
    )
    said: set[str] = set()
    for sentence in chain.from_iterable(map(_or_error, checks)):
        if sentence not in said:
            said.add(sentence)
            yield sentence


@dataclass(frozen=True, slots=True)
class Known:
    """What the log says as far as these checks need it, or why it cannot be read."""

    number: int = 0
    shards: frozenset[str] = frozenset()
    error: str = ""


def _known(folder: Path) -> Known:
    try:
        names(folder)  # where it cannot be listed this says so
        for _, path in checkpoints(folder)[-1:]:
            if found := _of_checkpoint(path):  # not given to a reader, whom it might lead anywhere
                return Known(error=found[0])
        last = Log(folder).last()
        return Known(last.number, frozenset(last.shards()))
    except StoreError as error:
        return Known(error=str(error))


def _or_error(sentences: Iterable[str]) -> Iterator[str]:
    """These, and last why there are no more if something could not even be looked at."""
    try:
        yield from sentences
    except Error as error:
        yield str(error)


def _of_store(root: Path) -> Iterator[str]:
    seal = files.read_sealed(root / "store.json").get("probes")
    if seal:
        yield from mapped.damage(root / PROBES, {"blake2b": seal})


def _of_log(folder: Path, known: Known) -> Iterator[str]:
    names(folder)
    for _, path in checkpoints(folder):
        yield from _of_checkpoint(path)
    for number in entry_numbers(folder):
        try:
            read_entry(folder, number)
        except StoreError as error:
            yield str(error)
    yield from _holes(folder)
    if known.error:
        yield known.error


def _of_checkpoint(path: Path) -> list[str]:
    return mapped.damage(path, {"blake2b": path.name.partition("-")[2].partition(".")[0]})


def _holes(folder: Path) -> Iterator[str]:
    """Entries that must be there: gc takes them in ascending order and never the highest."""
    found = entry_numbers(folder)
    covered = max((number for number, _ in checkpoints(folder)), default=0)
    lowest = next((number for number in found if exists(entry_path(folder, number))), covered + 1)
    last = max([covered, *found])
    for number in range(min(lowest, covered + 1), last + 1):
        path = entry_path(folder, number)
        if number not in found and not exists(path):
            lost = "; entries after it count for nothing" if number > covered else ""
            yield f"{path} is missing{lost}."


def _of_shards(root: Path, known: Known) -> Iterator[str]:
    folder = root / "shards"
    with files.reading(folder):
        there = {name for name in names(folder) if (folder / name).is_dir()}
    manifests = _manifests(root / "log")
    for name in sorted(there | known.shards):
        shard = Shard(root / "shards" / name)
        yield from _or_error(_of_shard(shard, manifests.get(name, "")))


def _of_shard(shard: Shard, manifest: str) -> Iterator[str]:
    with files.reading(shard.path):
        found = shard.damage()
    if not found and manifest and manifest_hash(shard.manifest) != manifest:
        found = [f"{shard.path / 'manifest.json'} is not the one that the log names."]
    yield from found


def _manifests(folder: Path) -> dict[str, str]:
    """The hashes of the shards' manifests, of those that an entry still holds."""
    held: dict[str, str] = {}
    for number in entry_numbers(folder):
        try:
            entry = read_entry(folder, number)
        except StoreError:
            continue  # said by _of_log
        if entry and entry.shard:
            held[entry.shard] = entry.manifest
    return held


def _of_snapshots(root: Path, known: Known) -> Iterator[str]:
    yield from _or_error(_of_current(root))
    for number in numbers(root):
        yield from _or_error(_of_snapshot(root, number, known))


def _of_snapshot(root: Path, number: int, known: Known) -> Iterator[str]:
    folder = folder_of(root, number)
    held = read_manifest(folder)
    yield from _of_files(folder, held["files"])
    for about in (*held["parts"], *held.get("words", ())):
        path = root / "parts" / f"{about['name']}.json"
        if not exists(path):
            yield f"{path} is missing; snapshot {number} needs it."
    for name in sorted({about.get("trained", "") for about in held["parts"]} - {""}):
        path = root / train.FOLDER / f"{name}.json"
        if not exists(path):
            yield f"{path} is missing; parts of snapshot {number} are copies of it."
    entry = entry_path(root / "log", held["entry"])
    if 0 < known.number < held["entry"] and not exists(entry):
        yield f"{entry} is missing: snapshot {number} knows of it, and the log ends with {known.number}."


def _of_current(root: Path) -> Iterator[str]:
    if current(root) is None:
        return
    try:
        number, seal = published(root)
        read_manifest(folder_of(root, number))
    except SnapshotError as error:
        yield f"{root / CURRENT} names nothing that opens: {error}"
        return
    if manifest_seal(folder_of(root, number)) != seal:
        yield f"{root / CURRENT} is damaged: its hash is not that of snapshot {number}."


def _of_parts(folder: Path) -> Iterator[str]:
    for name in names(folder):
        if name.endswith(".json"):
            yield from _or_error(_of_part(folder, name.removesuffix(".json")))


def _of_part(folder: Path, name: str) -> Iterator[str]:
    yield from _of_files(folder, named.read(folder, name)["files"])


def _of_files(folder: Path, held: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    return chain.from_iterable(mapped.damage(folder / name, stamp) for name, stamp in held.items())
