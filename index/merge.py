"""The best rows of several parts: the same, whatever way the rows are cut into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.query import Effort
from core.stop import require_wanted
from core.types import Float32Array, Float64Array, IntArray
from index.live import LivePart
from index.part import ROW, Queries
from index.ranked import Rows
from index.scoring import scores_of_all, scores_of_pairs, stored, stretches

FEW_ROWS = 5_000  # so few are scored one by one: an approximate index takes longer to find them
_QUERIES, _ROWS = 64, 65_536  # at a time, which bounds the memory
EVERYTHING = Effort()
MOST_EQUAL, _EQUAL = 4_096, 16  # rows of one score that are told apart, or times the rows wanted
_SPARE = 4  # times the rows wanted are in the lists that are looked into


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of several queries, one behind the other."""

    query: IntArray
    part: IntArray
    position: IntArray
    score: Float32Array

    def only(self, kept: NDArray[np.bool_] | IntArray) -> Found:
        """Some of them."""
        return Found(self.query[kept], self.part[kept], self.position[kept], self.score[kept])

    def and_(self, other: Found) -> Found:
        """Both."""
        return Found(
            np.concatenate([self.query, other.query]),
            np.concatenate([self.part, other.part]),
            np.concatenate([self.position, other.position]),
            np.concatenate([self.score, other.score]),
        )

    def with_all_of(self, query: int, part: int, position: IntArray, score: Float32Array) -> Found:
        """With these rows in place of what a query found in a part."""
        others = self.only((self.query != query) | (self.part != part))
        mine = Found(np.full(len(position), query), np.full(len(position), part), position, score)
        return others.and_(mine)


@dataclass(frozen=True)
class LeftOut:
    """Rows that some of the queries shall not find: pairs of a query and a row, by the queries."""

    query: IntArray
    part: IntArray
    position: IntArray

    def of(self, queries: IntArray) -> LeftOut:
        """Those of some of the queries, which are in ascending order, numbered as they are there."""
        if not len(self.query):
            return self
        kept = np.isin(self.query, queries)
        query = np.searchsorted(queries, self.query[kept])
        return LeftOut(query, self.part[kept], self.position[kept])

    def counts(self, queries: int) -> IntArray:
        """How many each query leaves out."""
        return np.bincount(self.query, minlength=queries)

    @property
    def most(self) -> int:
        """The most that one query leaves out."""
        return int(self.counts(1).max()) if len(self.query) else 0

    def others(self, found: Found) -> Found:
        """What was found less these."""
        if not len(self.query):
            return found
        both = (self, found)
        parts, rows = (
            1 + max(int(getattr(each, name).max(initial=0)) for each in both) for name in ("part", "position")
        )
        mine, theirs = ((each.query * parts + each.part) * rows + each.position for each in both)
        return found.only(~np.isin(theirs, mine))


_NONE = LeftOut(*(np.empty(0, np.int64) for _ in range(3)))
Columns = tuple[IntArray, Float64Array, Float64Array]  # line, start, end of each row found


def best_rows(
    parts: Sequence[LivePart],
    queries: Float32Array,
    k: int,
    effort: Effort = EVERYTHING,
    left_out: LeftOut = _NONE,
) -> list[Rows]:
    """The k best live rows of each query, best first; equal scores by source, then time (see MOST_EQUAL).

    What is left out costs no effort: as far is looked as if it were not there.
    """
    most = k * effort.candidates + left_out.most
    step = min(_QUERIES, max(1, _ROWS // most))
    blocks = (np.arange(first, min(first + step, len(queries))) for first in range(0, len(queries), step))
    return [rows for block in blocks for rows in _best(parts, queries[block], k, effort, left_out.of(block))]


def _best(
    parts: Sequence[LivePart], queries: Float32Array, k: int, effort: Effort, left_out: LeftOut
) -> list[Rows]:
    if not any(part.live for part in parts):
        return [Rows.none()] * len(queries)
    if are_few(parts):
        found = left_out.others(_one_by_one(parts, queries, k + left_out.most))
    elif any(part.about.lossy for part in parts):
        depth = k * effort.candidates
        found, _ = _ordered(parts, _searched(parts, queries, depth, effort, left_out), depth)
        score = scores_of_pairs(parts, queries, found.query, found.part, found.position)
        found = replace(found, score=score)
    else:
        found = _searched(parts, queries, k, effort, left_out)
    return best_of(parts, found, len(queries), k)


def best_of(parts: Sequence[LivePart], found: Found, queries: int, k: int) -> list[Rows]:
    """Of what so many queries found the k best rows each."""
    return _rows(queries, *_ordered(parts, found, k))


def are_few(parts: Sequence[LivePart]) -> bool:
    """Whether every row is scored, although an index could choose."""
    is_approximate = any(part.about.trained for part in parts)
    return is_approximate and sum(part.live for part in parts) <= FEW_ROWS


def _one_by_one(parts: Sequence[LivePart], queries: Float32Array, k: int) -> Found:
    """Every live row, scored by its stored vector."""
    live = [part.live_positions() for part in parts]
    number = np.repeat(np.arange(len(parts)), list(map(len, live)))
    position = np.concatenate(live)
    scores = scores_of_all(queries, stored(parts, number, position))
    return _picked(scores, np.broadcast_to(position, scores.shape), number, k)[0]


def _searched(
    parts: Sequence[LivePart], queries: Float32Array, k: int, effort: Effort, left_out: LeftOut
) -> Found:
    """The k best rows of each query by what the parts hold, and those that score as the last of them."""
    live = [number for number, part in enumerate(parts) if part.live]
    deep = k + left_out.most
    # One more than wanted, to see whether the cut goes through rows of one score.
    width = min(deep + 1, max(parts[number].about.rows for number in live))
    scores = np.empty((len(live), len(queries), width), np.float32)
    positions = np.empty(scores.shape, np.int64)
    asked: dict[str, Queries] = {}
    for place, number in enumerate(live):
        require_wanted()
        part = parts[number]
        if part.about.trained not in asked:
            asked[part.about.trained] = _asked(parts, part, queries, k, effort)
        part.part.best(asked[part.about.trained], part.selected, scores[place], positions[place])
    found, last = _picked(_beside(scores), _beside(positions), np.repeat(live, width), deep)
    if width > deep:
        for place, query in np.argwhere((positions[:, :, -1] >= 0) & (scores[:, :, -1] >= last)).tolist():
            part = parts[live[place]]
            one = asked[part.about.trained].one(query)
            found = found.with_all_of(query, live[place], *_down_to(part, one, last[query], deep))
    return _completed(parts, queries, k, effort, left_out.others(found), left_out)


def _asked(
    parts: Sequence[LivePart], one: LivePart, queries: Float32Array, k: int, effort: Effort
) -> Queries:
    """What the parts of the training of one of them search with."""
    count = one.part.list_count
    lists = lists_for(parts, count, k, effort)
    if lists >= count or all(part.live == part.alive for part in parts):
        return one.part.asked(queries, lists)
    # What a filter keeps may lie together, and the lists next to a query hold none of it.
    same = [part for part in parts if part.live and part.about.trained == one.about.trained]
    return one.part.asked(queries, lists, np.sum([part.in_lists for part in same], axis=0) > 0)


def _beside(each: NDArray[Any]) -> NDArray[Any]:
    """[queries, all rows] of [parts, queries, rows]."""
    return each.swapaxes(0, 1).reshape(each.shape[1], -1)


def lists_for(parts: Sequence[LivePart], count: int, k: int, effort: Effort) -> int:
    """How many lists to look into: the fewer rows are kept, the more hold one that is wanted."""
    if not effort.lists:
        return count
    kept, alive = sum(part.live for part in parts), sum(part.alive for part in parts)
    return min(count, ceil(max(effort.lists * alive, _SPARE * k * count) / kept))


def _picked(
    scores: Float32Array, positions: IntArray, number: IntArray, k: int
) -> tuple[Found, Float32Array]:
    """Of [queries, rows] those that score as the k-th or better; and what that scores."""
    is_there = positions >= 0
    last = np.full(len(scores), -np.inf, np.float32)
    if scores.shape[1] > k:
        last = np.partition(scores, -k, axis=1)[:, -k]
        is_there &= scores >= last[:, None]
    query, column = np.nonzero(is_there)
    return Found(query, number[column], positions[query, column], scores[query, column]), last


def _down_to(part: LivePart, asked: Queries, last: np.float32, k: int) -> tuple[IntArray, Float32Array]:
    """The rows with this score or a better one: which of equal ones come first is FAISS' whim.

    All of them, unless they are so many that FAISS may choose.
    """
    most = min(max(MOST_EQUAL, _EQUAL * k), part.about.rows)
    for width in (min(4 * k, most), most):
        scores, positions = np.empty((1, width), np.float32), np.empty((1, width), np.int64)
        part.part.best(asked, part.selected, scores, positions)
        if positions[0, -1] < 0 or scores[0, -1] < last:
            break
    good = (positions >= 0) & (scores >= last)
    return positions[good], scores[good]


def _completed(
    parts: Sequence[LivePart],
    queries: Float32Array,
    k: int,
    effort: Effort,
    found: Found,
    left_out: LeftOut,
) -> Found:
    """Who got fewer rows than there are is answered from all lists."""
    wanted = np.minimum(k, sum(part.live for part in parts) - left_out.counts(len(queries)))
    short = np.flatnonzero(np.bincount(found.query, minlength=len(queries)) < wanted)
    if not len(short) or not effort.lists:
        return found
    more = _searched(parts, queries[short], k, replace(effort, lists=0), left_out.of(short))
    return found.only(~np.isin(found.query, short)).and_(replace(more, query=short[more.query]))


def _ordered(parts: Sequence[LivePart], found: Found, k: int) -> tuple[Found, Columns]:
    """The k best of each query, best first, and what they stand for."""
    if len(parts) > 1:
        found = found.only(np.argsort(found.part, kind="stable"))
    records, line = np.empty(len(found.part), ROW), np.empty(len(found.part), np.int64)
    for number, first, end in stretches(found.part):
        records[first:end] = parts[number].part.rows[found.position[first:end]]
        line[first:end] = parts[number].lines(records[first:end])
    start, end_s = records["start"], records["end"]
    order = np.lexsort((records["row"], end_s, start, line, -found.score, found.query))
    query = found.query[order]
    order = order[np.arange(len(query)) - np.searchsorted(query, query) < k]
    return found.only(order), (line[order], start[order], end_s[order])


def _rows(count: int, found: Found, columns: Columns) -> list[Rows]:
    every = Rows(found.score, *columns, found.part, found.position)
    edges = np.searchsorted(found.query, np.arange(count + 1)).tolist()
    return [every[first:end] for first, end in pairwise(edges)]
