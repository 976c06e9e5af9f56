"""A part as one snapshot sees it: which of its rows live, and which sources they are of."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import SnapshotError
from core.types import IntArray
from index import mapped
from index.part import About, Bits, Part

Lines = NDArray[np.int32]
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)  # in a byte

_STEP_BYTES = 16 << 20  # of vectors in float32
_FIRST_ROWS = 512


@dataclass(frozen=True)
class LivePart:
    """A part, the line of sources.arrow of each of its runs (-1: dead), and a bit for each live row."""

    part: Part
    numbers: Lines
    bits: Bits
    live: int
    alive: int  # as many as live where nothing is filtered
    less: tuple[LivePart, IntArray] | None = field(
        default=None, repr=False, compare=False
    )  # than which: these

    @classmethod
    def open(
        cls,
        parts: Path,
        snapshot: Path,
        held: Mapping[str, Any],
        stamps: Mapping[str, Mapping[str, Any]],
        sources: int,
        beside: Mapping[str, Part] = MappingProxyType({}),
    ) -> LivePart:
        """Map a part and what the snapshot says of it, or SnapshotError. sources: lines of sources.arrow;
        beside: parts that are mapped already, by name."""
        about = About.read(held["name"], held)
        part = beside.get(about.name)
        if part is None or part.about != about:
            part = Part.open(parts, about)
        numbered, living = (snapshot / name for name in files_of(part.about.name))
        numbers = open_numbers(numbered, stamps, sources)
        bits = mapped.open_npy(living, np.dtype("u1"), stamps.get(living.name))
        if len(bits) != -(-part.about.rows // 8) or np.bitwise_count(bits).sum() != held["live"]:
            raise SnapshotError(f"{living} is damaged: it has not the {held['live']} live rows it should.")
        return cls(part, numbers, bits, held["live"], held["live"])

    @property
    def about(self) -> About:
        return self.part.about

    @cached_property
    def _bounds(self) -> IntArray:
        """Where each run begins, and where the last one ends."""
        source = np.ascontiguousarray(self.part.rows["source"])
        begins = np.flatnonzero(source[1:] != source[:-1]) + 1
        if len(begins) + 1 != len(self.numbers):
            raise SnapshotError(f"The part {self.about.name} is damaged: its rows are not of its runs.")
        return np.concatenate([[0], begins, [len(source)]])

    @cached_property
    def _by_line(self) -> tuple[IntArray, Lines]:
        """The runs in the order of their lines, and these: a line's runs are found without reading all."""
        order = np.argsort(self.numbers, kind="stable")
        return order, self.numbers[order]

    def have(self, lines: IntArray) -> NDArray[np.bool_]:
        """Which of these sources have rows here, live or not."""
        ordered = self._by_line[1]
        wanted = lines.astype(np.int32)  # or all that are searched would be made as wide each time
        first, behind = np.searchsorted(ordered, wanted), np.searchsorted(ordered, wanted, "right")
        found: NDArray[np.bool_] = (first < behind) & (lines >= 0)
        return found

    def positions(self, lines: Collection[int]) -> IntArray:
        """The live rows of these sources."""
        source, (order, ordered) = self.part.rows["source"], self._by_line
        wanted = np.unique(np.fromiter(lines, np.int32, len(lines)))
        edges = zip(np.searchsorted(ordered, wanted), np.searchsorted(ordered, wanted, "right"), strict=True)
        runs = np.sort(np.concatenate([order[:0], *(order[first:behind] for first, behind in edges)]))
        # Bisected, because of a large mapped part only the pages of these rows should be read.
        found = [np.arange(bisect_left(source, run), bisect_right(source, run)) for run in runs]
        mine = np.concatenate([np.empty(0, np.int64), *found]).astype(np.int64)
        return mine[self.is_live(mine)]

    def shard_of(self, line: int) -> str | None:
        """The shard that a source's first rows here are stored in."""
        order, ordered = self._by_line
        # Bisected as memory: numpy would widen all lines first, and make an object of each that it reads.
        first = bisect_left(ordered.data, line)
        if first == len(ordered) or ordered[first] != line:
            return None
        rows = self.part.rows
        try:
            return self.about.shards[int(rows["shard"][bisect_left(rows["source"].data, int(order[first]))])]
        except IndexError:
            raise self.part.damaged() from None

    def begun(self, line: int, start: float, end: float) -> IntArray:
        """The live rows of a source that begin in [start, end)."""
        positions = self.positions([line])
        begins = self.part.rows["start"][positions]
        return positions[(begins >= start) & (begins < end)]

    @property
    def selected(self) -> Bits | None:
        """The bits to look at; None where every row lives."""
        return None if self.live == self.about.rows else self.bits

    @cached_property
    def in_lists(self) -> IntArray:
        """How many live rows each list holds."""
        if self.less is not None:  # few, as a rule: all are not counted again for each search
            whole, dead = self.less
            return whole.in_lists - self.part.rows_in_lists(dead)
        live = np.unpackbits(self.bits, count=self.about.rows, bitorder="little")
        return self.part.rows_in_lists(live.view(np.bool_))

    def live_positions(self) -> IntArray:
        """All rows that live."""
        found: IntArray = np.empty(0, np.int64)
        if self.live:
            bytes_ = np.flatnonzero(self.bits)  # few of many, as a rule
            bits = np.unpackbits(self.bits[bytes_][:, None], axis=1, bitorder="little")
            byte, bit = np.nonzero(bits)
            found = 8 * bytes_[byte] + bit
        return found

    def steps(self) -> Iterator[IntArray]:
        """All live rows, as many at a time as their vectors go into a bounded memory; few at first."""
        most = max(_FIRST_ROWS, _STEP_BYTES // (4 * self.about.dim))
        first, count = 0, _FIRST_ROWS
        while first < self.about.rows:
            at = np.arange(first, min(first + count, self.about.rows))
            if len(live := at[self.is_live(at)]):
                yield live
            first, count = first + count, min(2 * count, most)

    def lines(self, records: np.ndarray[Any, Any]) -> IntArray:
        """The line of sources.arrow of each of these rows, all of which live."""
        try:
            found: IntArray = self.numbers[records["source"]].astype(np.int64)
        except IndexError:
            raise self.part.damaged() from None
        if (found < 0).any():  # a row is said to live, and its run to be dead
            raise self.part.damaged()
        return found

    def is_live(self, positions: IntArray) -> NDArray[np.bool_]:
        """Which of these rows live."""
        return are_set(self.bits, positions)

    def live_lines(self) -> Lines:
        """The sources of its live rows, in no order; some more than once."""
        alive = np.unpackbits(self.bits, count=self.about.rows, bitorder="little")
        before = np.concatenate([[0], np.cumsum(alive, dtype=np.int64)])[self._bounds]
        found: Lines = self.numbers[before[1:] > before[:-1]]
        return found

    def without(self, lines: Collection[int]) -> LivePart:
        """The same, with the rows of these sources dead."""
        dead = self.positions(lines)
        if not len(dead):
            return self
        bits = np.array(self.bits)
        np.bitwise_and.at(bits, dead >> 3, ~(1 << (dead & 7)).astype(np.uint8))
        whole, before = self.less or (self, dead[:0])
        less = (whole, np.concatenate([before, dead]))
        return replace(self, bits=bits, live=self.live - len(dead), less=less)

    def only(self, lines: Collection[int]) -> LivePart:
        """The same, with the rows of all other sources dead."""
        kept = np.isin(self.numbers, np.fromiter(lines, np.int64, len(lines)))
        return self.kept(np.repeat(kept, np.diff(self._bounds)))

    def spread(self, of_sources: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What holds of each source as what holds of each row; False where a row is dead."""
        of_runs = np.append(of_sources, False)[self.numbers]
        return np.repeat(of_runs, np.diff(self._bounds))

    def kept(self, rows: NDArray[np.bool_]) -> LivePart:
        """The same, with all rows dead for which this is False."""
        bits = pack(rows) & self.bits
        return replace(self, bits=bits, live=int(_ONES[bits].sum()), less=None)


def open_numbers(path: Path, stamps: Mapping[str, Mapping[str, Any]], sources: int) -> Lines:
    """The line of sources.arrow of each run, -1 of a dead one; SnapshotError where there is none such."""
    numbers = mapped.open_npy(path, np.dtype("<i4"), stamps.get(path.name))
    if len(numbers) and not (numbers.min() >= -1 and numbers.max() < sources):
        raise SnapshotError(f"{path} is damaged: it names a line that {sources} sources do not have.")
    return numbers


def files_of(name: str) -> tuple[str, str]:
    """What a snapshot's files about a part are called."""
    return f"{name}.numbers.npy", f"{name}.live.npy"


def are_set(bits: Bits, positions: IntArray) -> NDArray[np.bool_]:
    """Which of these rows have their bit."""
    found: NDArray[np.bool_] = (bits[positions >> 3] >> (positions & 7).astype(np.uint8)) & 1 > 0
    return found


def pack(live: NDArray[np.bool_]) -> Bits:
    """A bit a row, the lowest first."""
    return np.packbits(live, bitorder="little")
