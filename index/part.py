"""A part: one FAISS file of rows of one kind whose ids are positions, and beside it what each stands for."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from core import files, npy
from core.errors import SnapshotError
from core.store import Store
from core.types import Float32Array, IntArray, Kind, canonical
from index import mapped
from index.folders import opening

FORMAT = 1
FACTORY = "Flat"
ROW = np.dtype([("source", "<i4"), ("shard", "<i4"), ("start", "<f8"), ("end", "<f8"), ("row", "<i8")])
Bits = NDArray[np.uint8]  # one bit a row, the lowest first: what FAISS takes as a selector

SUFFIXES = ("faiss", "rows.npy", "json")
_STEP_ROWS = 16_384
_STEP_BYTES = 1 << 20
_READING = threading.Lock()  # FAISS' limits are the process'
_FAISS: Any = faiss  # its types are those of C++, and not what its Python wrappers take


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one source and layer that follow each other in a shard."""

    source: str
    layer: str
    shard: str
    line: int  # of the shard's sources
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class About:
    """What has to be known to open a part."""

    name: str
    kind: Kind
    dim: int
    rows: int
    shards: tuple[str, ...]
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, name: str, held: Mapping[str, Any]) -> About:
        """From a part's own JSON or from what a snapshot holds of it."""
        return cls(name, held["kind"], held["dim"], held["rows"], tuple(held["shards"]), held["files"])

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "dim": self.dim,
            "rows": self.rows,
            "shards": list(self.shards),
            "files": {name: dict(held) for name, held in self.files.items()},
        }


@dataclass(frozen=True, slots=True)
class Found:
    """The best rows of one query in one part, in no order."""

    scores: Float32Array
    positions: IntArray


@dataclass(frozen=True)
class Part:
    """A part that is open: mapped, and let go with the last reference to it."""

    about: About
    index: Any  # the very object FAISS gave: what a downcast returns does not keep its owner alive
    rows: np.ndarray[Any, Any]  # of dtype ROW

    @classmethod
    def open(cls, folder: Path, about: About) -> Part:
        """Map a part, or SnapshotError: FAISS has no checksums, so sizes and ends are compared before."""
        faiss_path, rows_path = folder / f"{about.name}.faiss", folder / f"{about.name}.rows.npy"
        mapped.require(faiss_path, about.files[faiss_path.name])
        rows = mapped.open_npy(rows_path, ROW, about.files[rows_path.name])
        index = _read_index(faiss_path)
        found = (index.d, index.ntotal, len(rows), index.metric_type)
        if found != (about.dim, about.rows, about.rows, faiss.METRIC_INNER_PRODUCT):
            raise SnapshotError(f"{faiss_path} does not hold the {about.rows} rows its manifest names.")
        return cls(about, index, rows)

    def best(self, queries: Float32Array, k: int, bits: Bits) -> list[Found]:
        """The best k rows of each query among those whose bit is set."""
        # A selector even where every row lives: without one FAISS scores twenty queries and more by
        # BLAS, and the last bit of a score would depend on how many were asked together.
        scores, positions = self.index.search(queries, min(k, self.about.rows), params=_selecting(bits))
        return [Found(s[p >= 0], p[p >= 0]) for s, p in zip(scores, positions, strict=True)]

    def at_least(self, query: Float32Array, score: np.float32, bits: Bits) -> Found:
        """All rows of one query with this score or a better one."""
        below = float(np.nextafter(score, np.float32(-np.inf)))
        _, scores, positions = self.index.range_search(query[None], below, params=_selecting(bits))
        return Found(scores, positions.astype(np.int64))


def _selecting(bits: Bits) -> Any:
    # Made afresh for each search of each part: FAISS writes into parameters while it searches.
    return _FAISS.SearchParameters(sel=_FAISS.IDSelectorBitmap(bits))


def _read_index(path: Path) -> Any:
    with opening(path):
        limit = 2 * path.stat().st_size
    with _READING:
        faiss.set_deserialization_vector_byte_limit(limit)
        faiss.set_deserialization_loop_limit(limit)
        try:
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, MemoryError) as error:
            raise SnapshotError(f"{path} is damaged: FAISS does not read it.") from error


def make(store: Store, kind: Kind, runs: Sequence[Run]) -> About:
    """A new part of these rows; it is there, whole and synced, once its JSON has its name."""
    parts = store.root / "parts"
    with draft(parts) as folder:
        held = _write(store, kind, runs, folder)
        name = files.hash_bytes(canonical(held).encode())
        with files.writing(parts / f"{name}.json"):
            settle(parts, folder, name, SUFFIXES)
    return About.read(name, named(name, held))


@contextmanager
def draft(parts: Path) -> Iterator[Path]:
    """A folder to fill. It goes in the end, where one of `files.draft` gets a name: the files leave it."""
    folder = parts / f"{files.DRAFT}{uuid.uuid4().hex}"
    try:
        with files.writing(parts):
            folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(store: Store, kind: Kind, runs: Sequence[Run], draft: Path) -> dict[str, Any]:
    shards = {name: number for number, name in enumerate(sorted({run.shard for run in runs}))}
    index, records = _filled(store, kind, runs), _records(store, kind, runs, shards)
    held = _described(store, kind, runs)
    with files.writing(draft):
        # Through a file of ours: FAISS prints what goes wrong with its own, and tells nobody.
        with (draft / "faiss").open("wb") as file:
            _FAISS.write_index(index, _FAISS.PyCallbackIOWriter(file.write, _STEP_BYTES))
        npy.write(draft / "rows.npy", [records])
        held["files"] = {f".{name}": mapped.stamp(draft / name) for name in ("faiss", "rows.npy")}
        (draft / "json").write_text(files.sealed(held))
    return held


def settle(parts: Path, draft: Path, name: str, suffixes: Sequence[str]) -> None:
    """Give the files their names, the JSON last: without it the others count for nothing."""
    for suffix in suffixes:
        files.sync(draft / suffix)
    for suffix in suffixes:
        path = parts / f"{name}.{suffix}"
        # A name that is taken holds the same bytes, unless the disk damaged them: then this mends it.
        if mapped.damage(path, mapped.stamp(draft / suffix)):
            (draft / suffix).replace(path)
    files.sync(parts)


def _described(store: Store, kind: Kind, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "encoder": store.spec.fingerprint,
        "kind": kind,
        "dim": store.spec.dim,
        "factory": FACTORY,
        "rows": sum(run.count for run in runs),
        **runs_to_json(runs),
    }


def runs_to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """As a part's JSON holds them; `runs_of` reads it."""
    shards = {name: number for number, name in enumerate(sorted({run.shard for run in runs}))}
    return {
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


def named(name: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """A part's JSON with its files' whole names: they cannot hold their own hash."""
    return {**held, "files": {name + suffix: stamp for suffix, stamp in held["files"].items()}}


def read(folder: Path, name: str) -> dict[str, Any]:
    """A part's own JSON, or SnapshotError; its name is the hash of what it holds."""
    path = folder / f"{name}.json"
    with opening(path):
        held = files.read_sealed(path)
    if files.hash_bytes(canonical(held).encode()) != name:
        raise SnapshotError(f"{path} holds another part than its name says.")
    return named(name, held)


def runs_of(held: Mapping[str, Any]) -> list[Run]:
    """The runs in a part's JSON, in the order of its rows."""
    runs, shards = held["runs"], held["shards"]
    columns = (runs[name] for name in ("source", "layer", "shard", "line", "first", "count"))
    return [
        Run(source, layer, shards[shard], line, first, count)
        for source, layer, shard, line, first, count in zip(*columns, strict=True)
    ]


def _filled(store: Store, kind: Kind, runs: Sequence[Run]) -> Any:
    index = faiss.IndexFlatIP(store.spec.dim)
    for shard, group in _by_shard(runs):
        vectors = store.shard(shard).vectors(kind)
        at = np.concatenate([np.arange(run.first, run.first + run.count) for run in group])
        for start in range(0, len(at), _STEP_ROWS):
            index.add(vectors[at[start : start + _STEP_ROWS]].astype(np.float32))
    return index


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
    group: list[Run] = []
    for run in runs:
        if group and group[0].shard != run.shard:
            yield group[0].shard, group
            group = []
        group.append(run)
    if group:
        yield group[0].shard, group


def exact(store: Store, part: Part, positions: IntArray) -> Float32Array:
    """The vectors of some rows as the store holds them, in float32."""
    records = part.rows[positions]
    found = np.empty((len(positions), part.about.dim), np.float32)
    for shard in np.unique(records["shard"]):
        mine = records["shard"] == shard
        vectors = store.shard(part.about.shards[shard]).vectors(part.about.kind)
        found[mine] = vectors[records["row"][mine]]
    return cast(Float32Array, found)
