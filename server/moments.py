"""Which hits of a video are told as one moment: docs/http-api.md, "Moments"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.query import Hits
from core.types import Float64Array, IntArray, Kind
from index.moments import Moment, merge


def moments_of(hits: Hits, kind: Kind, gap_s: float | None) -> list[Moment]:
    """The moments of rows that come best first, best first."""
    if kind == "text" or gap_s is None or not len(hits.scores):
        return merge(hits, kind, None)
    rows, weakest = _Rows.of(hits), float(hits.scores.min())
    found: list[Moment] = []
    while len(rows.number):
        # Without the bar all rows of a small library would touch each other and every video be one moment.
        is_strong = rows.score >= (rows.best_of_its_video() + weakest) / 2
        moments = merge(_picked(hits, rows.number[is_strong]), kind, gap_s)
        found += moments
        weak = rows.only(~is_strong)
        rows = weak.only(~_are_told(weak, moments))
    return sorted(found, key=lambda m: (-m.score, m.source, m.start))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Hits that are not told yet, as arrays of one length."""

    number: IntArray  # among the hits
    video: IntArray  # a number each
    start: Float64Array
    end: Float64Array
    score: Float64Array
    videos: dict[str, int]

    @classmethod
    def of(cls, hits: Hits) -> _Rows:
        videos: dict[str, int] = {}
        video = [videos.setdefault(segment.source, len(videos)) for segment in hits.segments]
        return cls(
            np.arange(len(video)),
            np.array(video, np.int64),
            np.array([segment.start for segment in hits.segments], np.float64),
            np.array([segment.end for segment in hits.segments], np.float64),
            hits.scores.astype(np.float64),
            videos,
        )

    def only(self, kept: NDArray[np.bool_]) -> _Rows:
        number, video = self.number[kept], self.video[kept]
        return _Rows(number, video, self.start[kept], self.end[kept], self.score[kept], self.videos)

    def best_of_its_video(self) -> Float64Array:
        best = np.full(len(self.videos), -np.inf)
        np.maximum.at(best, self.video, self.score)
        found: Float64Array = best[self.video]
        return found


def _picked(hits: Hits, numbers: IntArray) -> Hits:
    return Hits([hits.segments[number] for number in numbers], hits.scores[numbers])


def _are_told(rows: _Rows, moments: Sequence[Moment]) -> NDArray[np.bool_]:
    """Which rows lie by half or more within one of these moments, of which no two of a video touch."""
    begins = np.array([complex(rows.videos[moment.source], moment.start) for moment in moments])
    order = np.argsort(begins)  # complex numbers: by the real part, then by the imaginary one
    begins, ends = begins[order], np.array([moment.end for moment in moments])[order]
    # What covers half of a row has the row's middle in it.
    middles = rows.video + 0.5j * (rows.start + rows.end)
    near = np.maximum(np.searchsorted(begins, middles, side="right") - 1, 0)
    covered = np.minimum(rows.end, ends[near]) - np.maximum(rows.start, begins.imag[near])
    is_told: NDArray[np.bool_] = (begins.real[near] == rows.video) & (covered >= (rows.end - rows.start) / 2)
    return is_told
