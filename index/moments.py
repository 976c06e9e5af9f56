"""Moments: hits of one source that touch, or nearly, told as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.query import Hits
from core.types import Kind, Segment


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds [start, end) of a source, and the row in them that fits best."""

    source: str
    kind: Kind
    start: float
    end: float
    score: float
    best_start: float
    best_end: float
    text: str = ""
    rows: int = 1  # hits in it

    @property
    def id(self) -> str:
        """ "<source>/<kind>/<start ms of its best row>"."""
        return f"{self.source}/{self.kind}/{round(self.best_start * 1000)}"

    @property
    def best_t(self) -> float:
        """The second to show: a frame row begins with its picture, a clip is best in its middle."""
        return self.best_start if self.kind == "frame" else (self.best_start + self.best_end) / 2


def merge(hits: Hits, kind: Kind, gap_s: float | None = 0.0) -> list[Moment]:
    """Hits → moments, best first: those of one source no further apart than the gap are one. None: never.
    Texts never are: each says something else; what two tracks say alike is told once."""
    scored = zip(hits.segments, hits.scores.tolist(), strict=True)
    single = [_moment(segment, kind, score) for segment, score in scored]
    if kind == "text":
        told: dict[tuple[str, str], Moment] = {}
        for moment in single:
            told.setdefault((moment.id, moment.text), moment)
        return [*told.values()]
    if gap_s is None:
        return single
    by_source: dict[str, list[Moment]] = {}
    for moment in single:
        by_source.setdefault(moment.source, []).append(moment)
    merged = [moment for held in by_source.values() for moment in _joined(held, gap_s)]
    # Two hits of equal score are told apart as search does it: by source, then time.
    return sorted(merged, key=lambda m: (-m.score, m.source, m.best_start))


def _moment(segment: Segment, kind: Kind, score: float) -> Moment:
    start, end = segment.start, segment.end
    return Moment(segment.source, kind, start, end, score, start, end, segment.text)


def _joined(moments: Sequence[Moment], gap_s: float) -> Iterator[Moment]:
    ordered = sorted(moments, key=lambda m: (m.start, m.end))
    open_ = ordered[0]
    for moment in ordered[1:]:
        if moment.start - open_.end <= gap_s:
            open_ = _one_of(open_, moment)
        else:
            yield open_
            open_ = moment
    yield open_


def _one_of(first: Moment, second: Moment) -> Moment:
    best = second if second.score > first.score else first
    return replace(best, start=first.start, end=max(first.end, second.end), rows=first.rows + second.rows)
