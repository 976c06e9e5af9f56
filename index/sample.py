"""A fixed sample of a kind's live rows: those whose ids have the lowest hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from core.types import Float32Array, IntArray, Kind
from index import part as parts
from index.live import LivePart
from index.sources import Sources

if TYPE_CHECKING:
    from index.snapshot import Snapshot  # which opens what is made of samples

ROWS = 2_000
Hashes = NDArray[np.uint64]
_WORD = 8  # bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows in the order of their hashes, which is none."""

    vectors: Float32Array
    line: IntArray  # each one's source

    def __len__(self) -> int:
        return len(self.vectors)


def sampled(snapshot: Snapshot, kind: Kind, most: int = ROWS) -> Sample:
    """The sample of a kind that has rows."""
    held = [part for part in snapshot.parts if part.about.kind == kind and part.live]
    of_source = _of_sources(snapshot.sources)
    found = [_lowest(part, of_source, most) for part in held]
    hashes = np.concatenate([hashes for hashes, _ in found])
    number = np.repeat(np.arange(len(held)), [len(at) for _, at in found])
    at = np.concatenate([at for _, at in found])
    picked = np.argsort(hashes, kind="stable")[:most]
    number, at = number[picked], at[picked]
    vectors = np.empty((len(at), snapshot.store.spec.dim), np.float32)
    line = np.empty(len(at), np.int64)
    for each, part in enumerate(held):
        mine = number == each
        vectors[mine] = parts.exact(snapshot.store, part.part, at[mine])
        line[mine] = part.lines(part.part.rows[at[mine]])
    return Sample(vectors, line)


def _lowest(part: LivePart, of_source: Hashes, most: int) -> tuple[Hashes, IntArray]:
    """The rows of a part with the lowest hashes, and these."""
    at = np.flatnonzero(np.unpackbits(part.bits, count=part.about.rows, bitorder="little"))
    records = part.part.rows[at]
    hashes = _of_rows(records, of_source[part.lines(records)])
    if len(at) > most:
        kept = np.argpartition(hashes, most)[:most]
        hashes, at = hashes[kept], at[kept]
    return hashes, at.astype(np.int64)


def _of_rows(records: np.ndarray[Any, Any], of_source: Hashes) -> Hashes:
    """By source and seconds, which are a row's id: not by where it lies, as that changes."""
    start, end = (np.ascontiguousarray(records[name]).view(np.uint64) for name in ("start", "end"))
    return _mixed(_mixed(of_source ^ start) ^ end)


def _of_sources(sources: Sources) -> Hashes:
    ids = np.array(list(sources.ids()), np.bytes_)
    width = -(-ids.itemsize // _WORD) * _WORD
    words = ids.astype(f"S{width}").view(np.uint64).reshape(len(ids), -1)
    found = np.zeros(len(ids), np.uint64)
    for column in words.T:
        found = _mixed(found ^ column)
    return found


def _mixed(value: Hashes) -> Hashes:
    """A number that looks like no other's, for each (splitmix64)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return cast(Hashes, value ^ (value >> np.uint64(31)))
