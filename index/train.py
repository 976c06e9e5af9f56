"""What all parts of a kind are copies of: an empty FAISS index, trained once on a sample of the rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import faiss
import numpy as np

from core import files
from core.errors import SnapshotError, UsageError
from core.query import Effort
from core.store import Store
from core.types import Float32Array, Kind
from index import factory, faissfile, mapped, named
from index.faissfile import reason
from index.gpu_build import help_training
from index.part import Run, stored
from index.progress import Progress
from index.quiet import silence
from index.trial import tried

log = logging.getLogger(__name__)

FORMAT = 1
FOLDER = "trained"
OUTGROWN = 4  # times the rows that were there when it was trained

_ROWS_A_LIST = 40
_ROWS = 100_000  # for an index without lists
_SEED = 1


_TOLD = {"kind": str, "factory": str, "rows": int, "lossy": bool, "lists": int, "row_bytes": int}


@dataclass(frozen=True, slots=True)
class Training:
    """A trained index without rows, by its name."""

    name: str
    kind: Kind
    factory: str
    rows: int  # there were when it was trained
    lossy: bool  # its scores are not those of the stored vectors
    lists: int  # 0: it has none
    row_bytes: int

    @property
    def effort(self) -> Effort:
        """How far to look where nothing was measured."""
        return Effort(min(self.lists, max(8, self.lists // 12)), 8 if self.lossy else 1)

    @classmethod
    def read(cls, store: Store, name: str) -> Training:
        """What is said of it, its file compared to the last byte; SnapshotError."""
        folder = store.root / FOLDER
        held = named.read(folder, name)
        for file, stamp in held["files"].items():
            if damaged := mapped.damage(folder / file, stamp):
                raise SnapshotError(damaged[0])
        if not _is_told(held):
            raise SnapshotError(f"{folder / name}.json is damaged: it tells of no training.")
        return cls.of(name, held)

    @classmethod
    def of(cls, name: str, held: Mapping[str, Any]) -> Training:
        """From its JSON."""
        return cls(name, *(held[key] for key in _TOLD))

    def empty(self, store: Store) -> Any:
        """A copy in memory, to be filled."""
        path = store.root / FOLDER / f"{self.name}.faiss"
        index = faissfile.read(path, is_mapped=False)
        found = (index.d, index.ntotal, index.metric_type, index.is_trained)
        if found != (store.spec.dim, 0, faiss.METRIC_INNER_PRODUCT, True):
            raise SnapshotError(
                f"{path} is damaged: it is no trained index for vectors of {store.spec.dim} numbers."
            )
        return index


def _is_told(held: Mapping[str, Any]) -> bool:
    """Whether a training can be made of it."""
    are_of_type = all(type(held.get(name)) is of for name, of in _TOLD.items())
    return are_of_type and held["rows"] > 0 and held["lists"] >= 0 and held["row_bytes"] > 0


def train(
    store: Store,
    kind: Kind,
    runs: Sequence[Run],
    string: str,
    memory_bytes: int,
    progress: Progress,
    device: str = "cpu",
) -> Training:
    """Train an index of that factory string; it is there, whole and synced, once its JSON has its name."""
    index = factory.empty(string, store.spec.dim)
    rows = sum(run.count for run in runs)
    held: dict[str, Any] = {
        "format": FORMAT,
        "encoder": store.spec.fingerprint,
        "kind": kind,
        "dim": store.spec.dim,
        "factory": string,
        "rows": rows,
        "lists": _list_count(index),
    }
    given = sample(store, kind, runs, index, memory_bytes)
    progress.begin(f"{kind}: training {string} on a sample", len(given))
    take_off = help_training(index, given, device)
    _train(index, string, kind, given, rows)
    take_off()
    folder = store.root / FOLDER
    with named.draft(folder) as draft:
        with files.writing(draft):
            faissfile.write(index, draft / "faiss")
            found = tried(string, given, draft)
            held |= {"sample": len(given), "lossy": found.is_lossy, "row_bytes": found.row_bytes}
        name, held = named.settle(folder, draft, held, ("faiss",), f"{kind}-")
    return Training.of(name, held)


def _list_count(index: Any) -> int:
    lists = faissfile.lists_of(index)
    return 0 if lists is None else int(lists.nlist)


def sample(store: Store, kind: Kind, runs: Sequence[Run], index: Any, memory_bytes: int) -> Float32Array:
    """What an index is trained on: rows drawn from all, always the same ones."""
    counts = np.array([run.count for run in runs])
    count = _sample_rows(index, int(counts.sum()), memory_bytes)
    ends = np.cumsum(counts)
    drawn = np.sort(np.random.default_rng(_SEED).choice(int(ends[-1]), count, replace=False))
    number = np.searchsorted(ends, drawn, side="right")
    at = drawn - (ends - counts)[number] + np.array([run.first for run in runs])[number]
    found = np.empty((count, store.spec.dim), np.float32)
    done = 0
    for shard, group in groupby(number.tolist(), lambda n: runs[n].shard):
        end = done + sum(1 for _ in group)
        found[done:end] = stored(store, shard, kind, at[done:end])
        done = end
    return found


def _sample_rows(index: Any, rows: int, memory_bytes: int) -> int:
    return min(rows, _wanted_rows(index), max(1, factory.trainable_rows(int(index.d), memory_bytes)))


def _wanted_rows(index: Any) -> int:
    return max(_ROWS, _ROWS_A_LIST * _list_count(index))


def _train(index: Any, string: str, kind: Kind, given: Float32Array, rows: int) -> None:
    lists = _list_count(index)
    if lists > len(given):
        raise UsageError(
            f"{string!r} is trained on at least {lists} rows, and {_few(index, kind, len(given), rows)}; "
            f"{_what_would_do(index, given, rows)}`--factory KIND=STRING` asks for one kind, "
            "`--factory auto` for what fits."
        )
    kept = silence(index)
    try:
        index.train(given)
    except RuntimeError as error:
        raise UsageError(
            f"FAISS cannot train {string!r} where {_few(index, kind, len(given), rows)}: {reason(error)}."
        ) from error
    del kept


def _few(index: Any, kind: Kind, given: int, rows: int) -> str:
    """How many rows it is trained on, and why no more."""
    if given < min(rows, _wanted_rows(index)):
        return f"`--memory` holds {given} of the {rows} that {kind} has"
    return f"{kind} has {rows}"


def _what_would_do(index: Any, given: Float32Array, rows: int) -> str:
    lists = _list_count(index)
    if lists > rows:
        return ""
    mib = -(-factory.training_bytes(given.shape[1], lists) >> 20)
    return f"`--memory {mib}M` does, "
