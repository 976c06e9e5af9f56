"""Making a part: rows of some shards in a copy of what its kind was trained to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from core import files, npy
from core.errors import SnapshotError
from core.store import Store
from core.types import Float32Array, Kind
from index import faissfile, mapped, named
from index.faissfile import reason
from index.gpu_build import adder
from index.part import ROW, About, Run, of_training, runs_to_json, stored
from index.plan import Plan
from index.progress import Progress

FORMAT = 1

_STEP_ROWS = 8_192  # of 512 numbers: the most that malloc takes from memory that it has already
_COPIES = 3  # lists of codes grow by doubling


def make(store: Store, plan: Plan, runs: Sequence[Run], progress: Progress, device: str = "cpu") -> About:
    """A new part of these rows; it is there, whole and synced, once its JSON has its name."""
    index = _empty(store, plan)
    _fill(adder(index, device), store, plan.kind, runs, progress)
    shards = _numbered(run.shard for run in runs)
    return _write(
        store, _described(store, plan, runs, shards), index, _records(store, plan.kind, runs, shards)
    )


def merge(store: Store, plan: Plan, olds: Sequence[tuple[About, Sequence[Run]]]) -> About:
    """One part of all rows of some whole ones, dead ones too: SnapshotError where FAISS cannot merge them."""
    parts = store.root / "parts"
    runs = [run for _, mine in olds for run in mine]
    shards = _numbered(run.shard for run in runs)
    index, records = _empty(store, plan), []
    before = 0
    for about, mine in olds:
        path = parts / f"{about.name}.faiss"
        for name, stamp in about.files.items():
            if damaged := mapped.damage(parts / name, stamp):
                raise SnapshotError(damaged[0])
        other = faissfile.read(path, is_mapped=False)
        try:
            index.check_compatible_for_merge(other)
        except RuntimeError as error:
            raise SnapshotError(f"{path} cannot be merged: {reason(error)}.") from error
        # A flat index numbers its rows by itself, and takes no other number.
        index.merge_from(other, index.ntotal if faissfile.lists_of(index) else 0)
        rows = np.array(
            mapped.open_npy(parts / f"{about.name}.rows.npy", ROW, about.files[f"{about.name}.rows.npy"])
        )
        rows["source"] += before
        rows["shard"] = _renumbered(rows["shard"], [shards.get(name, -1) for name in about.shards], path)
        records.append(rows)
        before += len(mine)
    return _write(store, _described(store, plan, runs, shards), index, np.concatenate(records))


def _renumbered(held: np.ndarray[Any, Any], numbers: Sequence[int], path: Path) -> np.ndarray[Any, Any]:
    """The new number of each row's shard."""
    if not len(held):
        return held
    if 0 <= held.min() <= held.max() < len(numbers):
        found: np.ndarray[Any, Any] = np.array(numbers, np.int32)[held]
        if found.min() >= 0:
            return found
    raise SnapshotError(f"{path} cannot be merged: a row lies in a shard that it does not name.")


def most_rows(store: Store, plan: Plan, memory_bytes: int) -> int:
    """Of a part that memory holds while it is made."""
    row_bytes = plan.training.row_bytes if plan.training else 4 * store.spec.dim
    return max(1, memory_bytes // (_COPIES * row_bytes))


def _empty(store: Store, plan: Plan) -> Any:
    return plan.training.empty(store) if plan.training else faiss.IndexFlatIP(store.spec.dim)


def _numbered(shards: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(set(shards)))}


def _write(store: Store, held: dict[str, Any], index: Any, records: np.ndarray[Any, Any]) -> About:
    """The files of a part."""
    parts = store.root / "parts"
    with named.draft(parts) as draft:
        with files.writing(draft):
            faissfile.write(index, draft / "faiss")
            npy.write(draft / "rows.npy", [records])
            heads = {"faiss": faissfile.head_bytes(index, (draft / "faiss").stat().st_size)}
        return About.read(*named.settle(parts, draft, held, ("faiss", "rows.npy"), heads=heads))


def _described(store: Store, plan: Plan, runs: Sequence[Run], shards: dict[str, int]) -> dict[str, Any]:
    is_lossy = plan.training is not None and plan.training.lossy
    return {
        **of_training(plan.trained, is_lossy),
        "format": FORMAT,
        "encoder": store.spec.fingerprint,
        "kind": plan.kind,
        "dim": store.spec.dim,
        "factory": plan.factory,
        "rows": sum(run.count for run in runs),
        **runs_to_json(runs, shards),
    }


def _fill(
    add: Callable[[Float32Array], None], store: Store, kind: Kind, runs: Sequence[Run], progress: Progress
) -> None:
    for shard, group in _by_shard(runs):
        at = np.concatenate([np.arange(run.first, run.first + run.count) for run in group])
        for start in range(0, len(at), _STEP_ROWS):
            add(stored(store, shard, kind, at[start : start + _STEP_ROWS]))
            progress.add(min(_STEP_ROWS, len(at) - start))


def _records(store: Store, kind: Kind, runs: Sequence[Run], shards: dict[str, int]) -> np.ndarray[Any, Any]:
    records = np.empty(sum(run.count for run in runs), ROW)
    numbers = np.repeat(np.arange(len(runs)), [run.count for run in runs])
    records["source"] = numbers
    done = 0
    for shard, group in _by_shard(runs):
        rows = store.shard(shard).rows(kind)
        at = np.concatenate([np.arange(run.first, run.first + run.count) for run in group])
        mine = records[done : done + len(at)]
        mine["shard"], mine["row"] = shards[shard], at
        mine["start"], mine["end"] = rows.start[at], rows.end[at]
        done += len(at)
    return records


def _by_shard(runs: Sequence[Run]) -> Iterator[tuple[str, list[Run]]]:
    return ((shard, list(group)) for shard, group in groupby(runs, lambda run: run.shard))
