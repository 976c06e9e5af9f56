"""Moments: hits of one source that touch, or nearly, told as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from core.query import Hits, Segments
from core.types import Float32Array, IntArray, Kind
from index.words import Told


# A frozen one takes three times as long to make, and a search makes hundreds.
@dataclass(slots=True, unsafe_hash=True)
class Moment:
    """Seconds [start, end) of a source, and the row in them that fits best. Nobody changes one."""

    source: str
    kind: Kind
    start: float
    end: float
    score: float
    best_start: float
    best_end: float
    text: str = ""
    rows: int = 1  # hits in it
    told: Told | None = None  # the passage in it that was found by its words
    matched: tuple[str, ...] = ()  # what words matched on
    is_seen: bool = True  # False: found by words alone, and without a score
    # How it came to its place, and no part of what it is.
    ranks: tuple[tuple[str, int], ...] = field(default=(), compare=False)  # in the orders that were made one
    weighed: float | None = field(default=None, compare=False)  # what its pictures say, if they were asked

    @property
    def id(self) -> str:
        """ "<source>/<kind>/<start ms of its best row>"."""
        return f"{self.source}/{self.kind}/{round(self.best_start * 1000)}"

    @property
    def best_t(self) -> float:
        """The second to show: a frame row begins with its picture, a clip is best in its middle."""
        return self.best_start if self.kind == "frame" else (self.best_start + self.best_end) / 2


class Span(NamedTuple):
    """Some rows of a source that touch: where they begin and end, the best of them, and how many they are."""

    start: float
    end: float
    best: int  # its number
    rows: int = 1


def merge(hits: Hits, kind: Kind, gap_s: float | None = 0.0) -> list[Moment]:
    """Hits → moments, best first: those of one source no further apart than the gap are one. None: never.
    Texts never are: each says something else; what two tracks say alike is told once."""
    rows = Segments.of(hits.segments)
    if kind == "text" or gap_s is None:
        alone = map(Span, rows.start.tolist(), rows.end.tolist(), range(len(rows)))
        single = [*told(alone, rows, hits.scores, kind)]
        if kind != "text":
            return single
        said: dict[tuple[str, str], Moment] = {}
        for moment in single:
            said.setdefault((moment.id, moment.text), moment)
        return [*said.values()]
    spans = joined(numbered(rows.source), rows, hits.scores, np.arange(len(rows)), gap_s)
    # Two hits of equal score are told apart as search does it: by source, then time.
    return sorted(told(spans, rows, hits.scores, kind), key=lambda m: (-m.score, m.source, m.best_start))


def numbered(names: Sequence[str]) -> IntArray:
    """A number for each name, from 0 on."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)


def told(spans: Iterable[Span], rows: Segments, scores: Float32Array, kind: Kind) -> Iterator[Moment]:
    """Spans of these rows as moments."""
    starts, ends, score = rows.start.tolist(), rows.end.tolist(), scores.tolist()
    for span in spans:
        best, text = span.best, rows.text[span.best] if rows.text else ""
        yield Moment(
            rows.source[best],
            kind,
            span.start,
            span.end,
            score[best],
            starts[best],
            ends[best],
            text,
            span.rows,
        )


def joined(
    source: IntArray, rows: Segments, scores: Float32Array, among: IntArray, gap_s: float
) -> Iterator[Span]:
    """The spans of some of these rows, source by source in order of time. source: a number for each row."""
    order = among[np.lexsort((rows.end[among], rows.start[among], source[among]))]
    columns = (each[order].tolist() for each in (source, rows.start, rows.end, scores))
    ordered = zip(order.tolist(), *columns, strict=True)
    for best, last, first, behind, top in ordered:  # the first one; the others are taken below
        count = 1
        for number, which, start, end, score in ordered:
            if which == last and start - behind <= gap_s:
                behind, count = max(behind, end), count + 1
                if score > top:
                    best, top = number, score
            else:
                yield Span(first, behind, best, count)
                best, last, first, behind, top, count = number, which, start, end, score, 1
        yield Span(first, behind, best, count)
