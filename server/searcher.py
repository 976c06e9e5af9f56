"""Query → vector → hits → moments → results, on one immutable view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.query import Filter, Hits, Query
from core.types import Float32Array, Kind, Segment
from extractor.encoders.base import Encoder
from index.moments import Moment
from index.snapshot import Snapshot
from index.sources import SourceInfo
from server.compose import Asked, compose
from server.errors import ApiError
from server.moments import moments_of

LOOK_AT = 256  # rows, at least
_ROWS_A_RESULT = 8
_MORE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A moment with its source and the second to show."""

    moment: Moment
    info: SourceInfo
    best_t: float | None


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by stage."""

    total: float
    encode: float
    search: float

    @property
    def look_up(self) -> float:
        return max(0.0, self.total - self.encode - self.search)


@dataclass(frozen=True, slots=True)
class Answer:
    """Results, best first; each is the moments of one video where the query groups."""

    collection: str
    encoder: str
    snapshot: int
    results: Sequence[Sequence[Found]]
    grouped: bool
    total: int
    is_all: bool  # every row was looked at
    truncated: bool
    took: Took


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows that were looked at, as moments."""

    groups: list[list[Moment]]
    is_all: bool
    seconds: float  # spent in the index


@dataclass(frozen=True, slots=True)
class Searcher:
    """An encoder and a view of vectors it made. A request takes it once and keeps it."""

    collection: str
    encoder: Encoder
    view: Snapshot

    def answer(self, query: Query) -> Answer:
        """All of it, in the calling thread."""
        began = time.perf_counter()
        kind = self._kind(query)
        asked = compose(query, self._own_kinds(query), self.encoder, self.view)
        encoded = time.perf_counter()
        looked = self._look(query, kind, asked)
        seconds = _FrameTimes(self.view, asked.vector)
        results = [
            [self._found(moment, seconds, query.pad_s) for moment in group[: query.group_size]]
            for group in looked.groups[: query.limit]
        ]
        return Answer(
            self.collection,
            self.encoder.spec.name,
            self.view.number,
            results,
            query.by_video,
            len(looked.groups),
            looked.is_all,
            asked.truncated,
            Took(time.perf_counter() - began, encoded - began, looked.seconds),
        )

    def _kind(self, query: Query) -> Kind:
        if query.target == "texts":
            return "text"
        rows = self.view.rows
        visual: Kind = "clip" if rows.get("clip") else "frame"
        if query.kind and rows.get(visual) and not rows.get(query.kind):
            message = f"level: the collection {self.collection} has {visual} rows and no {query.kind} rows."
            raise ApiError(409, message, "level")
        return query.kind or visual

    def _own_kinds(self, query: Query) -> tuple[Kind, ...]:
        return ("frame", "clip", "text") if query.kind == "frame" else ("clip", "frame", "text")

    def _look(self, query: Query, kind: Kind, asked: Asked) -> Looked:
        total = self.view.rows.get(kind, 0)
        k, spent = max(LOOK_AT, _ROWS_A_RESULT * query.limit), 0.0
        while True:
            began = time.perf_counter()
            hits = self._hits(kind, asked, min(k, total))
            spent += time.perf_counter() - began
            moments = moments_of(hits, kind, query.merge_gap_s)
            groups = by_video(moments) if query.by_video else [[moment] for moment in moments]
            if len(groups) >= query.limit or k >= total:
                return Looked(groups, k >= total, spent)
            k *= _MORE

    def _hits(self, kind: Kind, asked: Asked, k: int) -> Hits:
        if k == 0:
            return Hits.none()
        hidden = Filter(hidden=asked.sources) if asked.sources else None
        hits = self.view.search(kind, asked.vector[None], k, filter=hidden)[0]
        if not asked.ranges:
            return hits
        kept = [i for i, row in enumerate(hits.segments) if not asked.is_own(row)]
        return Hits([hits.segments[i] for i in kept], hits.scores[kept])

    def _found(self, moment: Moment, seconds: _FrameTimes, pad_s: float) -> Found:
        info = self.view.source(moment.source) or SourceInfo(moment.source)
        if moment.kind == "text":
            return Found(moment, info, None)
        best_t = seconds.best(moment)
        if pad_s:
            end = moment.end + pad_s
            end = min(end, max(info.facts.seconds, moment.end)) if info.facts.seconds else end
            moment = replace(moment, start=max(min(moment.start, 0.0), moment.start - pad_s), end=end)
        return Found(moment, info, best_t)


def by_video(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Each video's moments, the videos by their best one."""
    groups: dict[str, list[Moment]] = {}
    for moment in moments:
        groups.setdefault(moment.source, []).append(moment)
    return list(groups.values())


class _FrameTimes:
    """The best second of a moment by the frame rows of its video, read once a video."""

    def __init__(self, view: Snapshot, vector: Float32Array) -> None:
        self._view, self._vector = view, vector
        self._frames: dict[str, tuple[Sequence[Segment], Float32Array]] = {}

    def best(self, moment: Moment) -> float:
        """Where no picture of the moment is stored: the middle of its best row."""
        if moment.kind == "frame":
            return moment.best_t
        rows, scores = self._scored(moment.source)
        within = [i for i, row in enumerate(rows) if moment.start <= row.start < moment.end]
        if not within:
            return moment.best_t
        return rows[within[int(np.argmax(scores[within]))]].start

    def _scored(self, source: str) -> tuple[Sequence[Segment], Float32Array]:
        if source not in self._frames:
            rows, vectors = self._view.vectors(source, "frame")
            self._frames[source] = rows, vectors @ self._vector
        return self._frames[source]
