"""The live rows of a snapshot, video by video, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.types import Float32Array, Float64Array, IntArray, Kind
from index.live import LivePart
from index.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Track:
    """The rows of one video."""

    start: Float64Array
    end: Float64Array
    vectors: Float32Array  # of length 1

    def __len__(self) -> int:
        return len(self.start)

    @property
    def seconds(self) -> float:
        """From the beginning of the first row to the end of the last."""
        return float(self.end.max() - self.start[0])


@dataclass(frozen=True)
class Footage:
    """All rows of one kind; a video is a number, and a row is one."""

    snapshot: Snapshot
    held: tuple[LivePart, ...]
    lines: IntArray  # of sources.arrow, of each video
    bounds: IntArray  # where the rows of each video begin, and where those of the last end
    start: Float64Array
    end: Float64Array
    part: NDArray[np.int32]
    position: IntArray

    @classmethod
    def of(cls, snapshot: Snapshot, kind: Kind) -> Footage:
        """Look at every live row once; vectors stay where they are."""
        held = tuple(part for part in snapshot.parts if part.about.kind == kind and part.live)
        columns = [_columns(number, part) for number, part in enumerate(held)]
        line, start, end, part, position = (np.concatenate(each) for each in zip(*columns, strict=True))
        order = np.lexsort((end, start, line))
        lines, firsts = np.unique(line[order], return_index=True)
        bounds = np.append(firsts, len(order)).astype(np.int64)
        return cls(snapshot, held, lines, bounds, start[order], end[order], part[order], position[order])

    def __len__(self) -> int:
        return len(self.start)

    @cached_property
    def video(self) -> NDArray[np.int32]:
        """Which video each row is of."""
        return np.repeat(np.arange(len(self.lines), dtype=np.int32), np.diff(self.bounds))

    @cached_property
    def step_s(self) -> float:
        """How far rows of one video that follow each other mostly are apart."""
        steps = np.diff(self.start)[np.diff(self.video) == 0]
        return float(np.median(steps)) if len(steps) else 1.0

    def vectors(self, rows: IntArray) -> Float32Array:
        """As the store holds them, brought to length 1."""
        found = np.empty((len(rows), self.snapshot.store.spec.dim), np.float32)
        for number in np.unique(self.part[rows]):
            mine = self.part[rows] == number
            found[mine] = self.held[number].part.vectors(self.position[rows[mine]])
        return unit(found)

    def track(self, video: int) -> Track:
        """One video."""
        first, end = self.bounds[video : video + 2].tolist()
        return Track(self.start[first:end], self.end[first:end], self.vectors(np.arange(first, end)))


def unit(vectors: Float32Array) -> Float32Array:
    """Of length 1 each; what is nought stays it."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Float32Array, vectors / np.maximum(lengths, np.float32(1e-12)))


def _columns(number: int, part: LivePart) -> tuple[IntArray | Float64Array | NDArray[np.int32], ...]:
    alive = np.flatnonzero(np.unpackbits(part.bits, count=part.about.rows, bitorder="little"))
    records = part.part.rows[alive]
    of = np.full(len(alive), number, np.int32)
    return part.lines(records), records["start"], records["end"], of, alive.astype(np.int64)
