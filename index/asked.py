"""What is asked to measure recall: held-out stored rows, and texts, which lie apart from pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import SnapshotError
from core.store import Store
from core.types import KINDS, Float32Array, Float64Array, IntArray, Kind
from index import mapped
from index import part as parts
from index.live import LivePart
from index.merge import LeftOut
from index.snapshot import Snapshot

FILE = "asked.arrow"
SAMPLE = 256
FEW = 32  # where nothing can be missed but by a fault
_ENOUGH_LEFT = 0.75  # of those drawn; the others' rows died
_GROWN = 2  # times the rows that they were drawn from: then others would be as likely


@dataclass(frozen=True, slots=True)
class Drawn:
    """Stored rows of one kind, kept from build to build so that what is true of them can be kept as well."""

    of_rows: int  # of the kind, when they were drawn
    ids: tuple[str, ...]
    start: Float64Array
    end: Float64Array
    vectors: Float32Array

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, numbers: IntArray) -> Drawn:
        ids = tuple(self.ids[number] for number in numbers.tolist())
        return Drawn(self.of_rows, ids, self.start[numbers], self.end[numbers], self.vectors[numbers])


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries for rows of one kind: its own stored rows, and behind them texts."""

    vectors: Float32Array
    line: IntArray  # whose row each is, else -1
    start: Float64Array
    end: Float64Array
    texts: int

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def own(self) -> int:
        """How many of them are stored rows."""
        return len(self) - self.texts

    def groups(self) -> dict[str, slice]:
        """Where the stored rows stand and where the texts do; recall is told of each."""
        found = {"rows": slice(0, self.own), "texts": slice(self.own, len(self))}
        return {name: each for name, each in found.items() if each.stop > each.start}

    def are_overlapped(
        self, query: IntArray, line: IntArray, start: Float64Array, end: Float64Array
    ) -> NDArray[np.bool_]:
        """Of pairs of query and row: rows that are the query itself or share seconds with it say nothing."""
        s, e = self.start[query], self.end[query]
        found: NDArray[np.bool_] = (self.line[query] == line) & (((start < e) & (end > s)) | (start == s))
        return found

    def overlapping(self, held: Sequence[LivePart]) -> LeftOut:
        """The live rows that each query has to leave out."""
        found = [np.empty((3, 0), np.int64)]
        for number, part in enumerate(held):
            for query, at in _rows_of(part, self.line):
                records, asked = part.part.rows[at], np.full(len(at), query)
                lines = part.lines(records)
                mine = at[self.are_overlapped(asked, lines, records["start"], records["end"])]
                found.append(np.stack([np.full(len(mine), query), np.full(len(mine), number), mine]))
        return LeftOut(*np.concatenate(found, axis=1))


def _rows_of(part: LivePart, lines: IntArray) -> Iterator[tuple[int, IntArray]]:
    """The number of each of these lines that the part has rows of, and their positions."""
    at = part.positions(np.unique(lines[lines >= 0]).tolist())
    of = part.lines(part.part.rows[at])
    order = np.argsort(of, kind="stable")
    at, of = at[order], of[order]
    first, behind = np.searchsorted(of, lines), np.searchsorted(of, lines, "right")
    for number in np.flatnonzero(behind > first).tolist():
        yield number, at[first[number] : behind[number]]


def draw(snapshot: Snapshot, kind: Kind, sample: int = SAMPLE) -> Drawn:
    """Some live rows of a kind, by chance and always the same ones of the same snapshot."""
    held = snapshot.parts_of(kind)
    ends = np.cumsum([part.live for part in held])
    count = int(ends[-1])
    picked = np.sort(np.random.default_rng(0).choice(count, min(sample, count), replace=False))
    records, vectors, lines = [], [], []
    for part, end in zip(held, ends.tolist(), strict=True):
        mine = picked[(picked >= end - part.live) & (picked < end)] - (end - part.live)
        at = part.live_positions()[mine]
        records.append(part.part.rows[at])
        lines.append(part.lines(records[-1]))
        vectors.append(parts.exact(snapshot.store, part.part, at))
    ids = tuple(map(snapshot.sources.id, np.concatenate(lines).tolist()))
    rows = np.concatenate(records)
    return Drawn(count, ids, rows["start"].copy(), rows["end"].copy(), np.concatenate(vectors))


def still_good(snapshot: Snapshot, kind: Kind, drawn: Drawn, sample: int) -> IntArray | None:
    """Which of those drawn live as they were; None where others have to be drawn."""
    if snapshot.rows[kind] > _GROWN * drawn.of_rows:
        return None
    left = np.flatnonzero(_live(snapshot, kind, drawn))
    return left if len(left) and len(left) >= _ENOUGH_LEFT * min(sample, drawn.of_rows) else None


def _live(snapshot: Snapshot, kind: Kind, drawn: Drawn) -> NDArray[np.bool_]:
    lines = np.array(list(map(snapshot.sources.find, drawn.ids)), np.int64)
    found = np.zeros(len(drawn), np.bool_)
    for part in snapshot.parts_of(kind):
        for number, at in _rows_of(part, lines):
            records = part.part.rows[at]
            same = (records["start"] == drawn.start[number]) & (records["end"] == drawn.end[number])
            vectors = parts.exact(snapshot.store, part.part, at[same])
            found[number] |= bool((vectors == drawn.vectors[number]).all(axis=1).any())
    return found


def asked(snapshot: Snapshot, kind: Kind, drawn: Mapping[Kind, Drawn]) -> Asked:
    """What is drawn of the kind itself, and the texts to look for it by."""
    own = drawn[kind]
    vectors = texts(snapshot.store, kind, drawn)
    none = np.full(len(vectors), -1.0)
    lines = np.array(list(map(snapshot.sources.find, own.ids)), np.int64)
    return Asked(
        np.concatenate([own.vectors, vectors]),
        np.concatenate([lines, none.astype(np.int64)]),
        np.concatenate([own.start, none]),
        np.concatenate([own.end, none]),
        len(vectors),
    )


def texts(store: Store, kind: Kind, drawn: Mapping[Kind, Drawn]) -> Float32Array:
    """By which rows of a kind are looked for: stored ones, else the probes; texts are by themselves."""
    none = np.empty((0, store.spec.dim), np.float32)
    if kind == "text":
        return none
    if "text" in drawn:
        return drawn["text"].vectors
    probes = store.probes()
    return none if probes is None else probes[:SAMPLE]


def write(path: Path, drawn: Mapping[Kind, Drawn]) -> None:
    """All that were drawn, kind by kind."""
    dim = next(iter(drawn.values())).vectors.shape[1] if drawn else 1
    schema = pa.schema(_fields(dim), {"cinedex": json.dumps({kind: d.of_rows for kind, d in drawn.items()})})
    with path.open("wb") as file, pa.ipc.new_file(file, schema) as writer:
        for kind, each in drawn.items():
            vectors = pa.FixedSizeListArray.from_arrays(each.vectors.ravel(), dim)
            columns = [pa.array([kind] * len(each)), pa.array(each.ids), each.start, each.end, vectors]
            arrays = [pa.array(column) if isinstance(column, np.ndarray) else column for column in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _fields(dim: int) -> list[tuple[str, pa.DataType]]:
    plain = [("kind", pa.string()), ("id", pa.string()), ("start", pa.float64()), ("end", pa.float64())]
    return [*plain, ("vector", pa.list_(pa.float32(), dim))]


def read(path: Path, stamp: Mapping[str, Any], dim: int) -> dict[Kind, Drawn]:
    """What a snapshot was asked, in vectors of so many numbers, or SnapshotError."""
    for sentence in mapped.damage(path, stamp):
        raise SnapshotError(sentence)
    try:
        return _read(path, dim)
    except (OSError, ValueError, TypeError, LookupError, RecursionError, MemoryError, pa.ArrowException):
        raise SnapshotError(f"{path} is damaged: it holds no queries of {dim} numbers.") from None


def _read(path: Path, dim: int) -> dict[Kind, Drawn]:
    table = pa.ipc.open_file(pa.py_buffer(path.read_bytes())).read_all()
    table.validate(full=True)  # where a string ends is not looked at when it is read
    held = json.loads(table.schema.metadata[b"cinedex"])
    of_rows = {kind: held[kind] for kind in KINDS if kind in held}
    if of_rows and (table.schema != pa.schema(_fields(dim)) or any(c.null_count for c in table.columns)):
        raise ValueError("a column is missing, of another type or has holes")
    if not all(type(count) is int and count > 0 for count in of_rows.values()):
        raise ValueError("rows that queries are drawn from are counted")
    kinds = np.array(table["kind"].to_pylist())
    return {kind: _drawn(table, kinds == kind, count) for kind, count in of_rows.items()}


def _drawn(table: pa.Table, mine: NDArray[np.bool_], of_rows: int) -> Drawn:
    held = table.filter(pa.array(mine)).combine_chunks()
    vectors = held["vector"].combine_chunks().flatten().to_numpy().reshape(held.num_rows, -1)
    start, end = (held[name].to_numpy() for name in ("start", "end"))
    return Drawn(of_rows, tuple(held["id"].to_pylist()), start, end, vectors)
