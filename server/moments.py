"""Which hits of a video are told as one moment: docs/http-api.md, "Moments"."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.query import Hits
from core.types import Kind, Segment
from index.moments import Moment, merge

Scored = tuple[Segment, float]


def moments_of(hits: Hits, kind: Kind, gap_s: float | None) -> list[Moment]:
    """The moments of rows that come best first, best first."""
    if gap_s is None or not len(hits.scores):
        return merge(hits, kind, None)
    scores = hits.scores.tolist()
    by_source: dict[str, list[Scored]] = {}
    for segment, score in zip(hits.segments, scores, strict=True):
        by_source.setdefault(segment.source, []).append((segment, score))
    found = [moment for rows in by_source.values() for moment in _parted(rows, kind, gap_s, min(scores))]
    return sorted(found, key=lambda m: (-m.score, m.source, m.start))


def _parted(rows: list[Scored], kind: Kind, gap_s: float, weakest: float) -> Iterator[Moment]:
    # Without the bar all rows of a small library would touch each other and every video be one moment.
    while rows:
        bar = (rows[0][1] + weakest) / 2
        strong = [row for row in rows if row[1] >= bar]
        moments = merge(_hits(strong), kind, gap_s)
        yield from moments
        rows = [row for row in rows if row[1] < bar and not _is_told(row[0], moments)]


def _hits(rows: list[Scored]) -> Hits:
    return Hits([segment for segment, _ in rows], np.array([score for _, score in rows], np.float32))


def _is_told(row: Segment, moments: list[Moment]) -> bool:
    """Whether half of the row or more lies within one of these."""
    half = (row.end - row.start) / 2
    return any(min(row.end, m.end) - max(row.start, m.start) >= half for m in moments)
