"""Every byte that was ever committed to a store, compared with the hash it was committed with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from core import files
from core.errors import SnapshotError, StoreError
from core.log import Log, entry_numbers, read_entry
from core.store import Shard, manifest_hash
from index import mapped, part
from index.snapshot import CURRENT, MANIFEST, folder_of, numbers, published, read_manifest


def damage(root: Path) -> Iterator[str]:
    """One sentence for each file that is not as it was written, or missing where another names it."""
    yield from chain(_of_store(root), _of_log(root), _of_shards(root), _of_snapshots(root), _of_parts(root))


def _of_store(root: Path) -> Iterator[str]:
    try:
        seal = files.read_sealed(root / "store.json")["probes"]
    except (StoreError, KeyError) as error:
        yield str(error)
        return
    if seal:
        yield from mapped.damage(root / "probes.npy", {"blake2b": seal})


def _of_log(root: Path) -> Iterator[str]:
    folder = root / "log"
    for path in sorted(folder.glob("*.checkpoint.parquet")):
        yield from mapped.damage(path, {"blake2b": path.name.partition("-")[2].partition(".")[0]})
    for number in entry_numbers(folder):
        try:
            read_entry(folder, number)
        except StoreError as error:
            yield str(error)
    yield from _holes(folder)


def _holes(folder: Path) -> Iterator[str]:
    """Entries that are missing between the last checkpoint and the highest one."""
    found = entry_numbers(folder)
    covered = [int(path.name.partition("-")[0]) for path in folder.glob("*.checkpoint.parquet")]
    needed = range(max(covered, default=0) + 1, max(found, default=0) + 1)
    for number in sorted(set(needed) - set(found)):
        yield f"{folder / f'{number:06d}.jsonl'} is missing; entries after it count for nothing."


def _of_shards(root: Path) -> Iterator[str]:
    manifests = _manifests(root)
    for name in sorted(manifests | {name: "" for name in _folders(root / "shards") if name not in manifests}):
        shard = Shard(root / "shards" / name)
        found = shard.damage()
        if not found and manifests.get(name) and manifest_hash(shard.manifest) != manifests[name]:
            found = [f"{shard.path / 'manifest.json'} is not the one that the log names."]
        yield from found


def _manifests(root: Path) -> dict[str, str]:
    """The shards that must be there, and the hashes of their manifests where an entry still holds them."""
    folder = root / "log"
    held: dict[str, str] = {}
    for number in entry_numbers(folder):
        try:
            entry = read_entry(folder, number)
        except StoreError:
            continue  # said by _of_log
        if entry and entry.shard:
            held[entry.shard] = entry.manifest
    there = set(_folders(root / "shards"))
    try:
        counting = Log(folder).last().shards()
    except StoreError:
        counting = set()
    return {name: held.get(name, "") for name in there.intersection(held) | counting}


def _folders(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("[!.]*") if path.is_dir()]


def _of_snapshots(root: Path) -> Iterator[str]:
    if (root / CURRENT).exists():
        yield from _of_current(root)
    for number in numbers(root):
        folder = folder_of(root, number)
        try:
            held = read_manifest(folder)
        except SnapshotError as error:
            yield str(error)
            continue
        yield from _of_files(folder, held["files"])
        for about in held["parts"]:
            if not (root / "parts" / f"{about['name']}.json").exists():
                yield f"{root / 'parts' / about['name']}.json is missing; snapshot {number} needs it."


def _of_current(root: Path) -> Iterator[str]:
    try:
        number, seal = published(root)
        read_manifest(folder_of(root, number))
    except SnapshotError as error:
        yield f"{root / CURRENT} names nothing that opens: {error}"
        return
    if files.hash_file(folder_of(root, number) / MANIFEST) != seal:
        yield f"{root / CURRENT} is damaged: its hash is not that of snapshot {number}."


def _of_parts(root: Path) -> Iterator[str]:
    for path in sorted((root / "parts").glob("[!.]*.json")):
        try:
            held = part.read(path.parent, path.stem)
        except SnapshotError as error:
            yield str(error)
            continue
        yield from _of_files(path.parent, held["files"])


def _of_files(folder: Path, held: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    return chain.from_iterable(mapped.damage(folder / name, stamp) for name, stamp in held.items())
