"""The best rows of each query by the stored vectors alone. What is true of a part is kept with a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core import npy
from core.errors import SnapshotError
from core.store import Store
from core.types import Float32Array, IntArray
from index import mapped
from index import part as parts
from index.asked import Asked
from index.live import Lines, LivePart

ROW = np.dtype([("score", "<f4"), ("position", "<i4")])
DEEPEST = 100  # what recall is measured to
DEPTH = 128  # kept of a part: some may die before it is looked at anew
ENDING = ".truth.npy"
_NONE = np.array((-np.inf, -1), ROW)

Array = np.ndarray[tuple[int, int], np.dtype[np.void]]  # of dtype ROW: [queries, DEPTH], best first


def scan(store: Store, part: LivePart, asked: Asked, depth: int = DEPTH) -> Array:
    """The best live rows of each query, by comparing it with every one; less those that say nothing."""
    best = _Best(len(asked), depth)
    for at in part.steps():
        scores = asked.vectors @ parts.exact(store, part.part, at).T
        # One floor a query leaves a handful to sort: sorting all scores costs as much as making them.
        found = np.flatnonzero(scores > best.floor[:, None])
        query, row = found // len(at), found % len(at)
        records = part.part.rows[at[row]]
        tells = ~asked.are_overlapped(query, part.lines(records), records["start"], records["end"])
        best.add(query[tells], scores.ravel()[found[tells]], at[row[tells]])
    return best.rows()


class _Best:
    """The best rows so far; those that wait to be sorted in are few beside them."""

    def __init__(self, queries: int, depth: int) -> None:
        self._held = np.full((queries, depth), _NONE, ROW)
        self._waiting: list[tuple[IntArray, np.ndarray[tuple[int], np.dtype[np.void]]]] = []
        self._waits = 0

    @property
    def floor(self) -> Float32Array:
        """What a row has to be above to count, of each query."""
        found: Float32Array = self._held["score"][:, -1]
        return found

    def add(self, query: IntArray, score: Float32Array, position: IntArray) -> None:
        rows = np.empty(len(query), ROW)
        rows["score"], rows["position"] = score, position
        self._waiting.append((query, rows))
        self._waits += len(query)
        if self._waits > self._held.size:
            self._sort_in()

    def rows(self) -> Array:
        self._sort_in()
        return self._held

    def _sort_in(self) -> None:
        queries, depth = self._held.shape
        numbers = np.arange(queries)
        query = np.concatenate([np.repeat(numbers, depth), *(q for q, _ in self._waiting)])
        rows = np.concatenate([self._held.ravel(), *(r for _, r in self._waiting)])
        order = np.lexsort((rows["position"], -rows["score"], query))
        rank = np.arange(len(order)) - np.searchsorted(query[order], numbers)[query[order]]
        self._held = rows[order[rank < depth]].reshape(queries, depth)
        self._waiting, self._waits = [], 0


def best(held: list[LivePart], found: list[Array]) -> Float32Array:
    """The best scores of each query over all parts, in order; -inf where there are no more."""
    scores = [
        np.where(lives(part, each), each["score"], -np.inf) for part, each in zip(held, found, strict=True)
    ]
    return -np.sort(-np.concatenate(scores, axis=1), axis=1)[:, :DEEPEST].astype(np.float32)


def lives(part: LivePart, found: Array) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which of these rows are there and live now."""
    position = found["position"].astype(np.int64)
    return (position >= 0) & part.is_live(np.maximum(position, 0))


def together(each: Sequence[Array], rows: Sequence[int]) -> Array:
    """What is true of the part that parts of so many rows were merged into, by what is of each of them."""
    moved = [np.array(found) for found in each]
    for found, first in zip(moved, np.cumsum([0, *rows]), strict=False):
        found["position"][found["position"] >= 0] += first
    both = np.concatenate(moved, axis=1)
    order = np.lexsort((both["position"], -both["score"]))[:, :DEPTH]
    return np.take_along_axis(both, order, axis=1)


def is_good(part: LivePart, before: Lines, found: Array) -> bool:
    """Whether what was true of a part's live rows then still gives the best of those that live now. before:
    the line of each of its runs then."""
    if ((part.numbers >= 0) & (before < 0)).any():
        return False  # a source came back, and its rows were not looked at
    is_all = found["position"][:, -1] < 0
    return bool((is_all | (lives(part, found).sum(axis=1) >= DEEPEST)).all())


def file_of(name: str) -> str:
    """What a snapshot's file of what is true of a part is called."""
    return f"{name}{ENDING}"


def write(path: Path, found: Array) -> None:
    npy.write(path, [np.ascontiguousarray(found).ravel()])


def read(path: Path, stamp: dict[str, object], queries: int, rows: int) -> Array:
    """What was true of a part of so many rows then, or SnapshotError."""
    for sentence in mapped.damage(path, stamp):
        raise SnapshotError(sentence)
    held = np.array(mapped.open_npy(path, ROW, stamp))
    if len(held) != queries * DEPTH:
        raise SnapshotError(f"{path} holds {len(held)} rows, not {DEPTH} for each of {queries} queries.")
    if held["position"].max(initial=-1) >= rows:
        raise SnapshotError(f"{path} is damaged: it names a row that is not there.")
    return held.reshape(queries, DEPTH)
