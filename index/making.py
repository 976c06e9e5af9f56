"""Making a part: rows of some shards in a copy of what its kind was trained to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from core import files, npy
from core.store import Store
from core.types import Kind
from index import faissfile, named
from index.factory import FLAT
from index.part import ROW, About, Run, of_training, stored
from index.train import Training

FORMAT = 1

_STEP_ROWS = 16_384


def make(store: Store, kind: Kind, runs: Sequence[Run], training: Training | None) -> About:
    """A new part of these rows; it is there, whole and synced, once its JSON has its name."""
    parts = store.root / "parts"
    shards = {name: number for number, name in enumerate(sorted({run.shard for run in runs}))}
    index = faiss.IndexFlatIP(store.spec.dim) if training is None else training.empty(store)
    _fill(index, store, kind, runs)
    held = _described(store, kind, runs, shards)
    if training is not None:
        held |= {"factory": training.factory, **of_training(training.name, training.lossy)}
    return _write(parts, held, index, _records(store, kind, runs, shards))


def _write(parts: Path, held: dict[str, Any], index: Any, records: np.ndarray[Any, Any]) -> About:
    """The files of a part."""
    with named.draft(parts) as draft:
        with files.writing(draft):
            faissfile.write(index, draft / "faiss")
            npy.write(draft / "rows.npy", [records])
        return About.read(*named.settle(parts, draft, held, ("faiss", "rows.npy")))


def _described(store: Store, kind: Kind, runs: Sequence[Run], shards: dict[str, int]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "encoder": store.spec.fingerprint,
        "kind": kind,
        "dim": store.spec.dim,
        "factory": FLAT,
        "rows": sum(run.count for run in runs),
        "shards": list(shards),
        "runs": {
            "source": [run.source for run in runs],
            "layer": [run.layer for run in runs],
            "shard": [shards[run.shard] for run in runs],
            "line": [run.line for run in runs],
            "first": [run.first for run in runs],
            "count": [run.count for run in runs],
        },
    }


def _fill(index: Any, store: Store, kind: Kind, runs: Sequence[Run]) -> None:
    for shard, group in _by_shard(runs):
        at = np.concatenate([np.arange(run.first, run.first + run.count) for run in group])
        for start in range(0, len(at), _STEP_ROWS):
            index.add(stored(store, shard, kind, at[start : start + _STEP_ROWS]))


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
