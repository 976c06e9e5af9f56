"""How much of the truth a snapshot finds: its answers against every stored row, scored by numpy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from core.query import Effort
from core.types import Float32Array, Float64Array, IntArray, Kind
from index import asked as queries
from index import part as parts
from index import truth
from index.asked import SAMPLE, Asked
from index.effort import MOST_CANDIDATES, least
from index.live import LivePart
from index.merge import LeftOut, are_few, best_rows, lists_for
from index.ranked import Rows
from index.reach import FARTHEST, Reach
from index.snapshot import Snapshot

DEPTHS = (1, 10, 100)
WANTED = 0.95  # of the ten best rows
_SAME = 1e-5  # relative to lengths: numpy and FAISS add up in different orders
_MOST = np.finfo(np.float32).max
_TOGETHER = 64  # queries, which bounds the memory
_TIMED_S = 2.0
_TIMED = 200  # searches: for one in a hundred that is slow

Depths = dict[str, float]  # depth → recall


@dataclass(frozen=True, slots=True)
class Measured:
    """What searches of one kind find, and how long each takes."""

    recall: Mapping[str, Depths]  # of "rows" and of "texts", where there are such queries
    latency_ms: Mapping[str, float]
    effort: Effort

    @property
    def worse(self) -> Depths:
        """Of the two, depth by depth."""
        return {str(d): min(each[str(d)] for each in self.recall.values()) for d in DEPTHS}


@dataclass(frozen=True, slots=True)
class Pass:
    """What every query found with one effort, by depth, and how long it took where it was asked by itself."""

    shares: Mapping[int, Float64Array]
    took_ms: Sequence[float]


@dataclass(frozen=True)
class Trial:
    """Queries for one kind and what is true of them: any effort can be held against it."""

    snapshot: Snapshot
    held: list[LivePart]
    asked: Asked
    truth: list[truth.Array]  # of each part
    _tried: dict[Effort, Pass] = field(default_factory=dict)

    @cached_property
    def best(self) -> Float32Array:
        """Scores of each query, [queries, at most 100]."""
        return truth.best(self.held, self.truth)

    @cached_property
    def _left_out(self) -> LeftOut:
        return self.asked.overlapping(self.held)

    @cached_property
    def _scale(self) -> Float32Array:
        """What a score of each query is by its size: its length times that of a row."""
        lengths = np.linalg.norm(self.asked.vectors, axis=1)
        found: Float32Array = lengths * np.median(lengths[: self.asked.own])
        return found

    @property
    def fewest_lists(self) -> int:
        """That are probed at any effort, for them to hold the most candidates there may be."""
        return lists_for(self.held, self.held[0].part.list_count, MOST_CANDIDATES * 10, Effort(1))

    def finds(self, effort: Effort, share: float, errors: float = 0.0) -> bool:
        """Whether both find that share of the ten best rows, with so many standard errors to spare."""
        return self._is_enough(self._passed(effort).shares[10], share, errors)

    def reached(self, share: float, errors: float = 0.0) -> Effort | None:
        """The effort that finds as much, as the lists of the best rows tell; None where they do not."""

        def is_enough(lists: int) -> bool:
            return self.reaches(Effort(lists), share, errors) or False

        most = min(FARTHEST, self.held[0].part.list_count)
        return Effort(least(most, is_enough)) if is_enough(most) else None

    def reaches(self, effort: Effort, share: float, errors: float = 0.0) -> bool | None:
        """Whether an effort finds as much, told without a search; None where that cannot be told."""
        shares = self._told(effort, 10)
        return None if shares is None else self._is_enough(shares, share, errors)

    def _told(self, effort: Effort, depth: int) -> Float64Array | None:
        lists = self._lists(effort.lists, depth)
        if lists > FARTHEST or self.held[0].about.lossy or self._reach is None:
            return None
        return self._share(self._reach.found(lists, self._lowest(depth)), depth)

    @cached_property
    def _reach(self) -> Reach | None:
        return Reach.of(self.held, self.truth, self.asked.vectors, self._lowest(truth.DEEPEST))

    def _is_enough(self, shares: Float64Array, share: float, errors: float) -> bool:
        each = [shares[where] for where in self.asked.groups().values()]
        return all(_mean(found) - errors * _error(found) >= share for found in each)

    def _lists(self, lists: int, k: int) -> int:
        return lists_for(self.held, self.held[0].part.list_count, k, Effort(lists))

    def told(self, effort: Effort) -> Measured | None:
        """As `measured`, by the lists of the best rows; None where they do not tell it, or where one of some
        searches, which look as far for every depth, finds less than they tell."""
        told = {depth: self._told(effort, depth) for depth in DEPTHS}
        shares = {depth: found for depth, found in told.items() if found is not None}
        if len(shares) < len(DEPTHS) or len({self._lists(effort.lists, depth) for depth in DEPTHS}) > 1:
            return None
        some = np.sort(np.random.default_rng(0).permutation(len(self.asked))[:_TIMED])
        passed = self._searched(effort, truth.DEEPEST, DEPTHS, 1, some)
        if any((passed.shares[depth][some] < shares[depth][some]).any() for depth in DEPTHS):
            return None
        return self._measured(effort, shares, passed.took_ms)

    def measured(self, effort: Effort) -> Measured:
        """At every depth, asked for as deep: who wants more rows is given more lists and candidates."""
        passed = self._passed(effort)
        rest = [depth for depth in DEPTHS if depth not in passed.shares]
        shares = {
            **passed.shares,
            **{depth: self._searched(effort, depth, (depth,)).shares[depth] for depth in rest},
        }
        return self._measured(effort, shares, passed.took_ms or self._took_ms(effort))

    def _measured(
        self, effort: Effort, shares: Mapping[int, Float64Array], took_ms: Sequence[float]
    ) -> Measured:
        groups = self.asked.groups()
        recall = {name: {str(d): _mean(shares[d][where]) for d in DEPTHS} for name, where in groups.items()}
        latency = {f"p{part}": round(float(np.percentile(took_ms, part)), 3) for part in (50, 99)}
        return Measured(recall, latency, effort)

    def _passed(self, effort: Effort) -> Pass:
        """All queries, searched with an effort that may be the one that is chosen."""
        if effort not in self._tried:
            self._tried[effort] = self._searched(effort, *self._depths(effort))
        return self._tried[effort]

    def _depths(self, effort: Effort) -> tuple[int, tuple[int, ...], int]:
        """For how many rows to search, which depths that tells of, and how many queries at a time."""
        if not may_miss(self.held):
            return truth.DEEPEST, DEPTHS, _TOGETHER
        fewest, most = (self._lists(effort.lists, depth) for depth in (DEPTHS[0], DEPTHS[-1]))
        if self.held[0].about.lossy or fewest < most:
            return 10, (10,), _TOGETHER
        return truth.DEEPEST, DEPTHS, 1  # who looks as far for a hundred rows has found the ten on the way

    def _searched(
        self,
        effort: Effort,
        k: int,
        depths: Sequence[int],
        together: int = _TOGETHER,
        some: IntArray | None = None,
    ) -> Pass:
        """Of searches for k rows the share of the truth in each; nan where there is nothing to find, or where
        only some queries are asked."""
        numbers = np.arange(len(self.asked)) if some is None else some
        found = {depth: np.full(len(self.asked), -1) for depth in depths}
        lowest = {depth: self._lowest(depth) for depth in depths}
        took_ms = []
        for first in range(0, len(numbers), together):
            block = numbers[first : first + together]
            vectors, left_out = self.asked.vectors[block], self._left_out.of(block)
            began = time.perf_counter()
            answers = best_rows(self.held, vectors, k, effort, left_out)
            took_ms.append(1000 * (time.perf_counter() - began))
            for query, scores in zip(block.tolist(), self._scores(vectors, answers), strict=True):
                for depth in depths:
                    found[depth][query] = (scores[:depth] >= lowest[depth][query]).sum()
        shares = {depth: self._share(each, depth) for depth, each in found.items()}
        return Pass(shares, took_ms if together == 1 else [])

    def _lowest(self, depth: int) -> Float32Array:
        """What a row has to score to be one of so many best, of each query."""
        best = self.best[:, :depth]
        last = np.min(best, axis=1, where=np.isfinite(best), initial=_MOST)
        lowest: Float32Array = last - _SAME * np.maximum(self._scale, np.abs(last))
        return lowest

    def _share(self, found: IntArray, depth: int) -> Float64Array:
        """Of so many best rows, where so many as good ones were found, of each query; -1: was not asked."""
        count = np.isfinite(self.best[:, :depth]).sum(axis=1)
        shares = np.full(len(count), np.nan)
        np.divide(np.minimum(found, count), count, out=shares, where=(count > 0) & (found >= 0))
        return shares

    def _scores(self, queries: Float32Array, answers: list[Rows]) -> list[Float32Array]:
        """The true scores of the rows that each query found, in order."""
        counts = [len(rows) for rows in answers]
        query = np.repeat(np.arange(len(queries)), counts)
        which, position = (
            np.concatenate([getattr(rows, name) for rows in answers]) for name in ("part", "position")
        )
        scores = np.empty(len(query), np.float32)
        for number in np.unique(which).tolist():
            mine = which == number
            vectors = parts.exact(self.snapshot.store, self.held[number].part, position[mine])
            scores[mine] = (vectors * queries[query[mine]]).sum(axis=1)
        return np.split(scores, np.cumsum(counts)[:-1])

    def _took_ms(self, effort: Effort) -> list[float]:
        """One query after the other, each for the hundred best rows."""
        took: list[float] = []
        until = time.perf_counter() + _TIMED_S
        for number in np.random.default_rng(0).permutation(len(self.asked))[:_TIMED].tolist():
            began = time.perf_counter()
            best_rows(self.held, self.asked.vectors[number : number + 1], truth.DEEPEST, effort)
            took.append(1000 * (time.perf_counter() - began))
            if time.perf_counter() > until:
                break
        return took


def _mean(shares: Float64Array) -> float:
    told = shares[~np.isnan(shares)]
    return float(told.mean()) if len(told) else 1.0


def _error(shares: Float64Array) -> float:
    told = shares[~np.isnan(shares)]
    return float(told.std(ddof=1) / np.sqrt(len(told))) if len(told) > 1 else 0.0


def measure(snapshot: Snapshot, sample: int = SAMPLE) -> dict[Kind, Measured]:
    """Each kind that has rows, at the effort of the snapshot; the truth is made anew."""
    drawn = {kind: queries.draw(snapshot, kind, sample) for kind in snapshot.rows}
    found: dict[Kind, Measured] = {}
    for kind in drawn:
        held, asked = snapshot.parts_of(kind), queries.asked(snapshot, kind, drawn)
        rows = [truth.scan(snapshot.store, part, asked) for part in held]
        trial = Trial(snapshot, held, asked, rows)
        found[kind] = trial.measured(snapshot.effort(kind))
    return found


def to_json(measured: Mapping[Kind, Measured]) -> dict[str, Any]:
    """What a snapshot's manifest holds of it."""
    texts = {kind: each.recall["texts"] for kind, each in measured.items() if "texts" in each.recall}
    return {
        "recall": {kind: each.worse for kind, each in measured.items()},
        "recall_texts": texts,
        "latency_ms": {kind: dict(each.latency_ms) for kind, each in measured.items()},
    }


def may_miss(held: list[LivePart]) -> bool:
    """Whether a search of these parts can do with less than all, and miss something."""
    return any(part.about.trained for part in held) and not are_few(held)


def shortfall(recall: Mapping[Any, Depths], wanted: float) -> str:
    """The kind that finds too little, in words; "" where none does."""
    for kind, of_kind in recall.items():
        if of_kind["10"] < wanted:
            return f"{of_kind['10']:.3f} of the ten best {kind} rows, less than {wanted:g}"
    return ""


def worst(recall: Mapping[Any, Depths], depth: int = 10) -> float:
    """The lowest of any kind."""
    return min((of_kind[str(depth)] for of_kind in recall.values()), default=1.0)
