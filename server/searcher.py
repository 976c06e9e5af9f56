"""Query → vector → hits → moments → results, on one immutable view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.query import Filter, Hits, Query
from core.stop import require_wanted
from core.types import Kind
from extractor.encoders.base import Encoder
from index.calibration import Level
from index.moments import Moment
from index.snapshot import Snapshot
from index.sources import SourceInfo
from server.compose import Asked, compose, unseen
from server.errors import ApiError
from server.folders import Folders
from server.judged import Judged
from server.moments import moments_of
from server.pictures import best_seconds, weighed
from server.told import Wanted, mode_of, shown_of, wanted

LOOK_AT = 256  # rows, at least
LOOK_AT_MOST = 16_384  # so that no request takes seconds
_ROWS_A_RESULT = 8
_MORE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A moment with its source and the second to show."""

    moment: Moment
    info: SourceInfo
    best_t: float | None
    confidence: float | None = None
    level: Level | None = None
    thumbnail: str | None = None  # the address of a picture


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
    is_all: bool  # no more are to be found
    truncated: bool
    took: Took
    confident: bool | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows that were looked at, as moments."""

    groups: list[list[Moment]]
    is_all: bool  # no more groups are to be found
    seconds: float  # spent in the index
    best: float | None  # the score of the best row


@dataclass(frozen=True, slots=True)
class Searcher:
    """An encoder and a view of vectors it made. A request takes it once and keeps it."""

    collection: str
    encoder: Encoder
    view: Snapshot
    folders: Folders = field(default_factory=Folders)
    encoded_s: float = 0.0  # seconds in which texts of the query were encoded beforehand

    def answer(self, query: Query) -> Answer:
        """All of it, in the calling thread."""
        began = time.perf_counter() - self.encoded_s
        kind, mode = self._kind(query), mode_of(query, self.view)
        by_words = mode == "text"
        own = self._own_kinds(query)
        asked = unseen(self.encoder) if by_words else compose(query, own, self.encoder, self.view)
        encoded = time.perf_counter()
        judged = Judged.of(query, self.view, kind, asked)
        looked = self._look(query, None if by_words else kind, asked, judged, wanted(query, mode))
        groups = [group[: query.group_size] for group in looked.groups[: query.limit]]
        infos = {moment.source: self._info(moment.source) for group in groups for moment in group}
        shown = [[shown_of(moment, infos[moment.source]) for moment in group] for group in groups]
        within = [inside for group in shown for _, inside in group]
        seconds = (
            iter([moment.best_t for moment in within])
            if by_words
            else best_seconds(self.view, asked.vector, within)
        )
        results = [
            [_found(moment, infos[moment.source], next(seconds), query.pad_s, judged) for moment, _ in group]
            for group in shown
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
            judged.is_confident(looked.best, any(moment.told for group in groups for moment in group)),
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

    def _look(
        self, query: Query, kind: Kind | None, asked: Asked, judged: Judged, words: Wanted | None
    ) -> Looked:
        k, spent, videos = max(LOOK_AT, _ROWS_A_RESULT * query.limit), 0.0, -1
        looked_through = Filter(hidden=asked.sources, where=query.where)
        if not (kind or words):
            self.view.filtered("text", looked_through)  # a filter that is wrong is told so here as well
        while True:
            require_wanted()
            began = time.perf_counter()
            hits, seen_all = (
                self._hits(query, kind, asked, looked_through, k) if kind else (Hits.none(), True)
            )
            best = float(hits.scores[0]) if len(hits.scores) else None
            found = moments_of(hits, kind, query.merge_gap_s) if kind else []
            moments = judged.kept(found)
            seen_all |= len(moments) < len(found)  # what was not looked at scores lower still
            if query.weigh_frames and kind == "clip":
                moments = weighed(self.view, asked.vector, moments)
            told_all = True
            if words:
                most = min(k, LOOK_AT_MOST)
                moments, told_all = words.fuse(moments, self.view, asked, looked_through, most)
            is_all = seen_all and told_all
            spent += time.perf_counter() - began
            groups = by_video(moments) if query.by_video else [[moment] for moment in moments]
            if len(groups) >= query.limit or is_all:
                return Looked(groups, is_all, spent, best)
            if query.by_video and videos < 0 and kind:
                videos = videos_with(self.view, kind, looked_through)
            is_enough = k >= LOOK_AT_MOST and (seen_all or len(hits.scores) >= LOOK_AT_MOST)
            is_all = told_all and videos == sum(any(each.is_seen for each in group) for group in groups)
            if is_all or is_enough:
                return Looked(groups, is_all, spent, best)
            # Rows of a range that was asked with are left out: behind a long one, more are to be looked at.
            k = k * _MORE if asked.ranges else min(k * _MORE, LOOK_AT_MOST)

    def _hits(self, query: Query, kind: Kind, asked: Asked, filter: Filter, k: int) -> tuple[Hits, bool]:
        """The best k rows less those that were asked with, and whether there are no others."""
        total = self.view.rows.get(kind, 0)
        most = min(k, max(total, 1))
        # Also where there are no rows: a filter that is wrong is told so.
        hits = self.view.search(
            kind, asked.vector[None], most, filter=filter, effort=query.effort, exact=query.exact
        )[0]
        is_all = k >= total or len(hits.scores) < k
        if not asked.ranges:
            return hits, is_all
        kept = [i for i, row in enumerate(hits.segments) if not asked.is_own(row)]
        return Hits([hits.segments[i] for i in kept], hits.scores[kept]), is_all

    def _info(self, source: str) -> SourceInfo:
        return self.view.source(source) or SourceInfo(source)


def _found(moment: Moment, info: SourceInfo, best_t: float, pad_s: float, judged: Judged) -> Found:
    worth = (judged.confidence(moment.score), judged.level(moment.score)) if moment.is_seen else (None, None)
    if moment.kind == "text" and info.text:
        return Found(moment, info, None, *worth)
    if pad_s:
        end = moment.end + pad_s
        end = min(end, max(info.facts.seconds, moment.end)) if info.facts.seconds else end
        moment = replace(moment, start=max(min(moment.start, 0.0), moment.start - pad_s), end=end)
    return Found(moment, info, best_t, *worth)


def videos_with(view: Snapshot, kind: Kind, filter: Filter) -> int:
    """How many videos have rows of that kind which a filter keeps."""
    has_rows = np.zeros(len(view.sources), np.bool_)
    for part in view.filtered(kind, filter):
        has_rows[part.live_lines()] = True
    return int(has_rows.sum())


def by_video(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Each video's moments, the videos by their best one."""
    groups: dict[str, list[Moment]] = {}
    for moment in moments:
        groups.setdefault(moment.source, []).append(moment)
    return list(groups.values())
