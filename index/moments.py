"""Moments: hits of one source that touch, or nearly, told as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np

from core.query import Hits, Segments
from core.types import Float32Array, Kind
from index.names import Names
from index.spans import Spans, in_order, joined
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


@dataclass(frozen=True, slots=True, eq=False)
class Moments(Sequence[Moment]):
    """Several as columns: each is made when somebody asks for it, and few ever are."""

    spans: Spans
    rows: Segments
    scores: Float32Array  # of the rows
    kind: Kind

    def __len__(self) -> int:
        return len(self.spans)

    @overload
    def __getitem__(self, number: int) -> Moment: ...
    @overload
    def __getitem__(self, number: slice) -> Moments: ...
    def __getitem__(self, number: int | slice) -> Moment | Moments:
        if isinstance(number, slice):
            return Moments(self.spans.at(number), self.rows, self.scores, self.kind)
        at = range(len(self))[number]
        return next(iter(self[at : at + 1]))

    def __iter__(self) -> Iterator[Moment]:
        spans, rows, best = self.spans, self.rows, self.spans.best
        times = spans.start, spans.end, rows.start[best], rows.end[best]
        columns = (each.tolist() for each in (*times, self.scores[best], spans.rows))
        for number, *known in zip(best.tolist(), *columns, strict=True):
            start, end, best_start, best_end, score, count = known
            text = rows.text[number] if rows.text else ""
            source = rows.source[number]
            yield Moment(source, self.kind, start, end, score, best_start, best_end, text, count)


def merge(hits: Hits, kind: Kind, gap_s: float | None = 0.0) -> Sequence[Moment]:
    """Hits → moments, best first: those of one source no further apart than the gap are one. None: never.
    Texts never are: each says something else; what two tracks say alike is told once."""
    rows = Segments.of(hits.segments)
    if kind == "text":
        said: dict[tuple[str, str], Moment] = {}
        for moment in Moments(Spans.alone(rows), rows, hits.scores, kind):
            said.setdefault((moment.id, moment.text), moment)
        return [*said.values()]
    if gap_s is None:
        return Moments(Spans.alone(rows), rows, hits.scores, kind)
    source = Names.of(rows.source).number
    spans = joined(source, rows, hits.scores, in_order(source, rows), gap_s)
    best = spans.best
    # Two hits of equal score are told apart as search does it: by source, then time.
    order = np.lexsort((rows.start[best], source[best], -hits.scores[best]))
    return [*Moments(spans.at(order), rows, hits.scores, kind)]
