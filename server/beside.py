"""What `include` asks for beside a result: scores of the parts, why it is where it is, its row's vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.query import Hits, Query, Segments
from core.types import Float32Array, IntArray
from index.moments import Moment
from index.snapshot import Snapshot
from server.compose import Sought
from server.diverse import fused_value, vectors_of
from server.judged import rounded

SHOWN_ROWS = 16


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row that was looked at, in a moment."""

    id: str
    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class Why:
    """How a result came to its place."""

    ranks: tuple[tuple[str, int], ...]  # in each order that it is in
    fused: float | None  # what these count together, where words were looked for
    weighed: float | None  # what its pictures say, where these were asked
    rows: tuple[SeenRow, ...]  # the best in it that were looked at
    merged: int  # rows that are told as this one result


@dataclass(frozen=True, slots=True)
class Beside:
    """What was asked for, and empty what was not."""

    scores: tuple[float, ...] = ()
    vector: tuple[float, ...] = ()
    why: Why | None = None


NOTHING = Beside()


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at: rows, and whether words as well."""

    hits: Hits
    are_fused: bool = False


def beside(
    query: Query, view: Snapshot, asked: Sought, moments: Sequence[Moment], looked: Seen
) -> list[Beside]:
    """Of each of these moments."""
    include = query.include
    if not include & {"scores", "vector", "explain"}:
        return [NOTHING] * len(moments)
    vectors = np.empty((len(moments), 0), np.float32)
    if include & {"scores", "vector"}:
        vectors = vectors_of(view, asked.vector, moments)
    rows = _inside(moments, looked.hits) if "explain" in include else [()] * len(moments)
    return [
        Beside(
            _scores(asked, vector) if "scores" in include and moment.is_seen else (),
            tuple(vector.tolist()) if "vector" in include and moment.is_seen else (),
            _why(moment, inside, looked.are_fused) if "explain" in include else None,
        )
        for moment, vector, inside in zip(moments, vectors, rows, strict=True)
    ]


def _scores(asked: Sought, row: Float32Array) -> tuple[float, ...]:
    return () if asked.each is None else tuple(map(rounded, (asked.each @ row).tolist()))


def _why(moment: Moment, rows: tuple[SeenRow, ...], is_fused: bool) -> Why:
    return Why(moment.ranks, fused_value(moment) if is_fused else None, moment.weighed, rows, moment.rows)


def _inside(moments: Sequence[Moment], hits: Hits) -> list[tuple[SeenRow, ...]]:
    """The best rows that lie within each."""
    rows = Segments.of(hits.segments)
    of_source: dict[str, list[int]] = {moment.source: [] for moment in moments}
    for number, source in enumerate(rows.source):
        if source in of_source:
            of_source[source].append(number)
    numbers = {source: np.array(each, np.int64) for source, each in of_source.items()}
    return [
        tuple(_rows(moment, rows, numbers[moment.source], hits.scores)) if moment.is_seen else ()
        for moment in moments
    ]


def _rows(moment: Moment, rows: Segments, numbers: IntArray, scores: Float32Array) -> Iterator[SeenRow]:
    start, end = rows.start[numbers], rows.end[numbers]
    for number in numbers[(start >= moment.start) & (end <= moment.end)][:SHOWN_ROWS].tolist():
        began = float(rows.start[number])
        id = f"{moment.source}/{moment.kind}/{round(began * 1000)}"
        yield SeenRow(id, began, float(rows.end[number]), rounded(float(scores[number])))
