"""What was written about a video's clips when it was embedded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.lines import Lines
from core.shard import Rows, Shard
from core.types import Line, Segment
from index.live import LivePart
from index.snapshot import Snapshot


def captions(view: Snapshot, source: str, start: float = -math.inf, end: float = math.inf) -> list[Line]:
    """Those that reach into [start, end), by time."""
    found = [line for at in _reaching(view, source, start, end) if (line := at.caption())]
    return sorted(found, key=lambda line: (line.start, line.end))


def captions_of(view: Snapshot, told: Sequence[Segment | None]) -> list[Line | None]:
    """Of each of these the caption that says just that; None where no model wrote it."""
    near = [
        (number, at)
        for number, each in enumerate(told)
        if each is not None
        for at in _reaching(view, each.source, each.start, each.end)
        if (at.start, at.end) == (each.start, each.end)
    ]
    found: list[Line | None] = [None] * len(told)
    for number, at in sorted(near, key=lambda each: each[1].shard):  # each shard is read once
        line, each = at.caption(), told[number]
        if line and each and line.text == each.text:
            found[number] = line
    return found


@dataclass(frozen=True, slots=True)
class _At:
    """Where the row of a text lies."""

    part: LivePart
    shard: Path
    row: int
    start: float
    end: float

    def caption(self) -> Line | None:
        """It, if it is one."""
        try:
            rows = _rows(self.shard)
            if rows.text is None or rows.origin is None or rows.origin[self.row].as_py() != "captions":
                return None
            name = _written_by(_lines(self.shard), rows, self.row)
            return Line(self.start, self.end, rows.text[self.row].as_py(), written_by=name)
        except IndexError:
            raise self.part.part.damaged() from None


def _reaching(view: Snapshot, source: str, start: float, end: float) -> Iterator[_At]:
    for part, positions in view.reaching(source, "text", start, end):
        for record in part.part.rows[positions]:
            try:
                shard = view.store.shard(part.about.shards[record["shard"]])
            except IndexError:
                raise part.part.damaged() from None
            times = float(record["start"]), float(record["end"])
            yield _At(part, shard.path, int(record["row"]), *times)


def _written_by(lines: Lines, rows: Rows, row: int) -> str:
    """Whose a row is: a layer's lines are its rows, in the same order. "": the store does not say."""
    if lines.written_by is None:
        return ""
    source = rows.source[row]
    line = row + int(np.searchsorted(lines.source, source) - np.searchsorted(rows.source, source))
    return lines.written_by[line].as_py() or ""


@lru_cache(maxsize=16)
def _rows(shard: Path) -> Rows:
    return Shard(shard).rows("text")


@lru_cache(maxsize=16)
def _lines(shard: Path) -> Lines:
    return Shard(shard).lines()
