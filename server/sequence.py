"""A, then B, in one video, or A without B: chains of rows. docs/http-api.md, "Sequences"."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from core.query import Hits, Segments
from core.stop import require_wanted
from core.types import Float64Array, IntArray

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Gap:
    """How far apart two steps may be, in seconds from the end of one to the start of the next."""

    least: float = 0.0
    most: float = _NEVER


@dataclass(frozen=True, slots=True)
class StepRows:
    """Rows of one step in one video."""

    start: Float64Array
    end: Float64Array
    score: Float64Array
    number: IntArray  # of each within the step's hits

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class Chain:
    """One row of each step that is not absent."""

    source: str
    start: float
    end: float
    score: float  # the mean of its rows'
    rows: tuple[int, ...]  # numbers within the hits of these steps


@dataclass(frozen=True, slots=True)
class WantedRows:
    """One step: the rows it may be in each video, or with `absent` those that must not be there."""

    hits: Hits
    absent: bool = False

    def by_source(self) -> dict[str, StepRows]:
        """Its rows, video by video."""
        rows, score = Segments.of(self.hits.segments), self.hits.scores.astype(np.float64)
        numbers: dict[str, list[int]] = {}
        for number, source in enumerate(rows.source):
            numbers.setdefault(source, []).append(number)
        return {
            source: StepRows(rows.start[at], rows.end[at], score[at], np.array(at))
            for source, at in numbers.items()
        }


def chains(steps: Sequence[WantedRows], times: Gap, one_a_video: bool) -> list[Chain]:
    """All that there are, best first. In one video each row of the last step ends one, the best there is;
    what overlaps a better one is left out."""
    held = [step.by_source() for step in steps]
    present = [rows for rows, step in zip(held, steps, strict=True) if not step.absent]
    found: list[Chain] = []
    for source in sorted(set.intersection(*(set(rows) for rows in present))):
        require_wanted()
        of_video = [(rows.get(source), step.absent) for rows, step in zip(held, steps, strict=True)]
        best = sorted(_ending(source, of_video, times), key=_order)
        found += best[:1] if one_a_video else _apart(best)
    return sorted(found, key=_order)


def _order(chain: Chain) -> tuple[float, str, float, float]:
    return -chain.score, chain.source, chain.start, chain.end


def _apart(best_first: Sequence[Chain]) -> list[Chain]:
    """Those that overlap none before them."""
    kept: list[Chain] = []
    starts, ends = np.empty(0), np.empty(0)
    for chain in best_first:
        if not ((starts < chain.end) & (ends > chain.start)).any():
            kept.append(chain)
            starts, ends = np.append(starts, chain.start), np.append(ends, chain.end)
    return kept


def _ending(source: str, steps: Sequence[tuple[StepRows | None, bool]], times: Gap) -> Iterator[Chain]:
    """The best chain that ends with each row of the last step that is present."""
    before: _Best | None = None
    absent: list[StepRows] = []
    for rows, is_absent in steps:
        if is_absent:
            absent += [rows] if rows is not None else []
        elif rows is not None:
            before = _first(rows, absent, times) if before is None else _then(before, rows, absent, times)
            absent = []
    if before is None:
        return
    rows = before.rows
    edges = _blocked(absent, rows.end + times.most)
    for at in np.flatnonzero(np.isfinite(before.total) & (rows.end > edges)).tolist():
        path = before.path(at)
        first, score = before.begun[at], before.total[at] / len(path)
        yield Chain(source, float(first), float(rows.end[at]), float(score), path)


@dataclass(frozen=True, slots=True)
class _Best:
    """For each row of a step the best chain that ends with it."""

    rows: StepRows
    total: Float64Array  # of the scores; -inf: there is none
    begun: Float64Array  # when it begins
    came: IntArray  # which row of the step before
    before: _Best | None = None

    def path(self, at: int) -> tuple[int, ...]:
        """The rows of the chain, in order of time."""
        here = int(self.rows.number[at])
        return (*self.before.path(int(self.came[at])), here) if self.before else (here,)


def _first(rows: StepRows, absent: Sequence[StepRows], times: Gap) -> _Best:
    """Rows that nothing absent lies before."""
    edges = _blocked(absent, rows.start)
    is_free = np.isneginf(edges) | (rows.start - times.most > edges)
    total = np.where(is_free, rows.score, -np.inf)
    return _Best(rows, total, rows.start, np.full(len(rows), -1))


def _then(before: _Best, rows: StepRows, absent: Sequence[StepRows], times: Gap) -> _Best:
    """Each row behind the best one that it may follow: of those that end within a window, which moves on as
    the rows begin later. Of equal ones the last."""
    edges = _blocked(absent, rows.start)
    order, behind = np.argsort(rows.start, kind="stable"), np.argsort(before.rows.end, kind="stable")
    ends, worth = before.rows.end[behind].tolist(), before.total[behind].tolist()
    came = np.full(len(rows), -1)
    best: deque[int] = deque()  # of the window those that may yet be the best, the best one first
    next_in = 0
    for at in order.tolist():
        start = float(rows.start[at])
        while next_in < len(ends) and ends[next_in] <= start - times.least:
            while best and worth[best[-1]] <= worth[next_in]:
                best.pop()
            best.append(next_in)
            next_in += 1
        while best and (ends[best[0]] < start - times.most or ends[best[0]] <= edges[at]):
            best.popleft()
        if best and worth[best[0]] > -_NEVER:
            came[at] = behind[best[0]]
    total = np.where(came >= 0, before.total[came] + rows.score, -np.inf)
    return _Best(rows, total, before.begun[came], came, before)


def _blocked(absent: Sequence[StepRows], until: Float64Array) -> Float64Array:
    """For each of these times the second after which nothing absent lies until then: [x, until) holds no row
    by half or more if x is later than that; -inf: whatever x is."""
    order = np.argsort(until, kind="stable")
    edges = np.full(len(until), -np.inf)
    rows = [row for each in absent for row in _by_middle(each)]
    rows.sort()
    open_rows: list[tuple[float, float, float]] = []  # half of the length, end and middle: the shortest first
    done, count = -_NEVER, 0
    for at in order.tolist():
        now = float(until[at])
        while count < len(rows) and rows[count][0] <= now:
            middle, end, half = rows[count]
            heappush(open_rows, (half, end, middle))
            count += 1
        while open_rows and open_rows[0][1] <= now:  # it ends by then: its middle counts from now on
            done = max(done, heappop(open_rows)[2])
        edges[at] = max(done, now - open_rows[0][0]) if open_rows else done
    return edges


def _by_middle(rows: StepRows) -> Iterator[tuple[float, float, float]]:
    half = (rows.end - rows.start) / 2
    return zip((rows.start + half).tolist(), rows.end.tolist(), half.tolist(), strict=True)
