"""Which hits of a video are told as one moment: docs/http-api.md, "Moments"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from core.query import Hits, Segments
from core.types import Float64Array, IntArray, Kind
from index.moments import Moment, Moments, merge
from index.names import Names
from index.spans import Spans, in_order, joined


def moments_of(hits: Hits, kind: Kind, gap_s: float | None) -> Sequence[Moment]:
    """The moments of rows that come best first, best first."""
    if kind == "text" or gap_s is None or not len(hits.scores):
        return merge(hits, kind, None)
    rows = _Rows.of(hits)
    weakest = rows.score.min()
    left, found = rows.order, list[Spans]()
    while len(left):
        # Without the bar all rows of a small library would touch each other and every video be one moment.
        is_strong = rows.score[left] >= (rows.best_of_their_videos(left) + weakest) / 2
        spans = joined(rows.video, rows.segments, hits.scores, left[is_strong], gap_s)
        found.append(spans)
        weak = left[~is_strong]
        left = weak[~rows.are_told(weak, spans)]
    every = Spans.of_all(found)
    order = np.lexsort((every.start, rows.video[every.best], -hits.scores[every.best]))
    return Moments(every.at(order), rows.segments, hits.scores, kind)


def further(hits: Hits, before: Hits, told: Sequence[Moment]) -> Hits:
    """What a deeper look adds: the rows that were not looked at before, and that do not lie by half or more
    within a moment that was told."""
    rows, known = Segments.of(hits.segments), {*_keys(Segments.of(before.segments))}
    spans: dict[str, list[Moment]] = {}
    for moment in told:
        spans.setdefault(moment.source, []).append(moment)
    edges = {
        source: (np.array([m.start for m in each]), np.array([m.end for m in each]))
        for source, each in spans.items()
    }
    kept = [
        number
        for number, key in enumerate(_keys(rows))
        if key not in known and not _is_covered(key[1], key[2], edges.get(key[0]))
    ]
    return chosen(hits, kept)


def holding(start: Float64Array, end: Float64Array, row: Moment) -> int:
    """The first of a source's moments that holds a row by half or more; -1: none does."""
    held = np.minimum(end, row.end) - np.maximum(start, row.start) >= (row.end - row.start) / 2
    return int(held.argmax()) if held.any() else -1


def chosen(hits: Hits, numbers: Sequence[int]) -> Hits:
    """Some of these rows."""
    rows, at = Segments.of(hits.segments), np.array(numbers, np.int64)
    texts = [rows.text[n] for n in numbers] if rows.text else ()
    sources = Names.of(rows.source).at(at)
    return Hits(Segments(sources, rows.start[at], rows.end[at], texts), hits.scores[at], hits.partial)


def _keys(rows: Segments) -> Iterator[tuple[str, float, float, str]]:
    texts = rows.text or repeat("")
    return zip(rows.source, rows.start.tolist(), rows.end.tolist(), texts, strict=False)


def _is_covered(start: float, end: float, spans: tuple[Float64Array, Float64Array] | None) -> bool:
    if spans is None or end <= start:
        return False
    covered = np.minimum(spans[1], end) - np.maximum(spans[0], start)
    return bool((covered >= (end - start) / 2).any())


@dataclass(frozen=True, slots=True)
class _Rows:
    """Hits as arrays of one length."""

    segments: Segments
    video: IntArray  # a number each, from 0 on, ordered as their names are
    videos: int
    score: Float64Array
    order: IntArray  # by video and time

    @classmethod
    def of(cls, hits: Hits) -> _Rows:
        rows = Segments.of(hits.segments)
        # Where a snapshot found them these are lines of sources.arrow, which is sorted by id, and all hits of
        # a request are of one snapshot: so lines are ordered as names are, and no name is needed here.
        line = Names.of(rows.source).number
        order = in_order(line, rows)
        ordered, video = line[order], np.zeros(len(line), np.int64)
        video[order[1:]] = np.cumsum(ordered[1:] != ordered[:-1])
        return cls(rows, video, int(video[order[-1]]) + 1, hits.scores.astype(np.float64), order)

    def best_of_their_videos(self, numbers: IntArray) -> Float64Array:
        video = self.video[numbers]
        best = np.full(self.videos, -np.inf)
        np.maximum.at(best, video, self.score[numbers])
        found: Float64Array = best[video]
        return found

    def are_told(self, numbers: IntArray, spans: Spans) -> NDArray[np.bool_]:
        """Which rows lie by half or more within one of these spans, which come by video and time."""
        video, start, end = self.video[numbers], self.segments.start[numbers], self.segments.end[numbers]
        # Complex numbers are compared by the real part, then by the imaginary one.
        begins = self.video[spans.best] + 1j * spans.start
        # What covers half of a row has the row's middle in it.
        near = np.maximum(np.searchsorted(begins, video + 0.5j * (start + end), side="right") - 1, 0)
        covered = np.minimum(end, spans.end[near]) - np.maximum(start, begins.imag[near])
        is_told: NDArray[np.bool_] = (begins.real[near] == video) & (covered >= (end - start) / 2)
        return is_told
