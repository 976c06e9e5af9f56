"""Rows → results in one order, which goes on as more rows are looked at: docs/http-api.md, "Moments"."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload
from zlib import crc32

import numpy as np

from core.query import Filter, Hits, Query
from core.types import Kind
from index.fusion import SEEN, Above
from index.moments import Moment
from index.snapshot import Snapshot
from server.compose import Sought
from server.cursor import LOOK_AT_MOST
from server.diverse import diversified
from server.judged import Judged
from server.moments import chosen, further, moments_of
from server.pictures import weighed
from server.told import WantedWords

LOOK_AT = 256  # rows, at least
_ROWS_A_RESULT = 8
_MORE = 4


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows that were looked at, as moments in their order."""

    groups: Sequence[Sequence[Moment]]
    is_all: bool  # no more groups are to be found
    best: float | None  # the score of the best row
    hits: Hits
    rows: int  # that the first page looked at: more are looked at behind these
    deepest: int  # that were looked at
    seen: int = 0  # moments by vectors

    @property
    def goes_on(self) -> bool:
        """Whether a deeper look may find more."""
        return not self.is_all and self.deepest < LOOK_AT_MOST


@dataclass(frozen=True, slots=True, eq=False)
class Single(Sequence[Sequence[Moment]]):
    """Moments as groups of one, each made when somebody asks for it."""

    moments: Sequence[Moment]

    def __len__(self) -> int:
        return len(self.moments)

    @overload
    def __getitem__(self, number: int) -> Sequence[Moment]: ...
    @overload
    def __getitem__(self, number: slice) -> Single: ...
    def __getitem__(self, number: int | slice) -> Sequence[Moment] | Single:
        if isinstance(number, slice):
            return Single(self.moments[number])
        return [self.moments[number]]

    def __iter__(self) -> Iterator[Sequence[Moment]]:
        return ([moment] for moment in self.moments)


@dataclass(slots=True)
class Ranking:
    """What is looked for, and where."""

    view: Snapshot
    query: Query
    kind: Kind | None  # None: by words alone
    asked: Sought
    judged: Judged
    words: WantedWords | None
    seconds: float = 0.0  # spent in the index

    def first(self) -> Looked:
        """As many rows as give the results of the first page."""
        k = min(max(LOOK_AT, _ROWS_A_RESULT * self.query.limit), LOOK_AT_MOST)
        while True:
            looked = self._timed(k, None, self.query.limit)
            if len(looked.groups) >= self.query.limit or not looked.goes_on:
                return looked
            k = min(k * _MORE, LOOK_AT_MOST)

    def page(self, position: int, rows: int) -> Looked:
        """The same order from its beginning to behind a page. rows: that the first page looked at."""
        wanted = position + self.query.limit
        looked = self._timed(min(rows, LOOK_AT_MOST), None, wanted + 1)
        while len(looked.groups) < wanted and looked.goes_on:
            looked = self._timed(min(looked.deepest * _MORE, LOOK_AT_MOST), looked, wanted + 1)
        return looked

    def _timed(self, k: int, before: Looked | None, wanted: int) -> Looked:
        """`wanted`: with so many groups nobody asks whether they are all."""
        began = time.perf_counter()
        looked, told_all = self._first(k) if before is None else self._further(k, before)
        if self.query.by_video and self.kind and told_all and len(looked.groups) < wanted:
            videos = videos_with(self.view, self.kind, self._filter)
            seen = sum(any(each.is_seen for each in group) for group in looked.groups)
            looked = replace(looked, is_all=looked.is_all or videos == seen)
        self.seconds += time.perf_counter() - began
        return looked

    @property
    def _filter(self) -> Filter:
        return Filter(hidden=self.asked.sources, where=self.query.where)

    def _first(self, k: int) -> tuple[Looked, bool]:
        hits, seen_all = self.hits(k)
        found, seen_all = self._moments(hits, seen_all)
        if self.query.weigh_frames and self.kind == "clip":
            found = weighed(self.view, self.asked.vector, found)
        moments, told_all = self._fused(found, k, Above())
        moments = diversified(self.view, self.asked.vector, moments, self.query.diversity)
        best = float(hits.scores[0]) if len(hits.scores) else None
        looked = Looked(self._grouped(moments), seen_all and told_all, best, hits, k, k, len(found))
        return looked, told_all

    def _further(self, k: int, before: Looked) -> tuple[Looked, bool]:
        """What k rows add to fewer: it comes behind all that was there, and moves nothing."""
        hits, seen_all = self.hits(k)
        told = [moment for group in before.groups for moment in group]
        sources = {moment.source for moment in told} if self.query.by_video else set()
        fresh = further(hits, before.hits, [] if self._are_single else [m for m in told if m.is_seen])
        if sources:
            fresh = chosen(fresh, [n for n, each in enumerate(fresh.segments) if each.source not in sources])
        found, seen_all = self._moments(fresh, seen_all)
        moments, told_all = self._fused(found, k, Above(before.seen, before.deepest))
        known = {_key(moment) for moment in told}
        new = [m for m in moments if m.source not in sources and _key(m) not in known]
        groups = [*before.groups, *self._grouped(new)]
        every = replace(
            before,
            groups=groups,
            is_all=seen_all and told_all,
            hits=hits,
            deepest=k,
            seen=before.seen + len(found),
        )
        return every, told_all

    def _moments(self, hits: Hits, seen_all: bool) -> tuple[Sequence[Moment], bool]:
        if self.kind is None:
            return [], seen_all
        found = moments_of(hits, self.kind, self.query.merge_gap_s)
        kept = self.judged.kept(found)
        return kept, seen_all or len(kept) < len(found)  # what was not looked at scores lower still

    @property
    def _are_single(self) -> bool:
        return self.kind == "text" or self.query.merge_gap_s is None

    def _fused(self, found: Sequence[Moment], k: int, above: Above) -> tuple[Sequence[Moment], bool]:
        if self.words is not None:
            most = min(k, LOOK_AT_MOST)
            return self.words.fuse(found, self.view, self.asked, self._filter, most, above)
        if "explain" in self.query.include:
            return [replace(m, ranks=((SEEN, above.seen + n),)) for n, m in enumerate(found, 1)], True
        return found, True

    def _grouped(self, moments: Sequence[Moment]) -> Sequence[Sequence[Moment]]:
        return by_video(moments) if self.query.by_video else Single(moments)

    def hits(self, k: int, only: frozenset[str] | None = None) -> tuple[Hits, bool]:
        """The best k rows less those that were asked with, and whether there are no others. only: of these
        sources."""
        where = Filter(only, self.asked.sources, self.query.where)
        if self.kind is None:
            if self.words is None:
                self.view.filtered("text", where)  # a filter that is wrong is told so here as well
            return Hits.none(), True
        total = self.view.rows.get(self.kind, 0)
        deep = k + self._own(self.kind)
        # Also where there are no rows: a filter that is wrong is told so.
        hits = self.view.search(
            self.kind,
            self.asked.vector[None],
            min(deep, max(total, 1)),
            filter=where,
            effort=self.query.effort,
            exact=self.query.exact,
        )[0]
        is_all = deep >= total or len(hits.scores) < deep
        if self.asked.ranges:
            kept = [n for n, row in enumerate(hits.segments) if not self.asked.is_own(row)]
            is_all &= len(kept) <= k
            hits = chosen(hits, kept[:k])
        return hits, is_all

    def _own(self, kind: Kind) -> int:
        """How many rows were asked with, and are found before all others."""
        sources = {part.source for part in self.asked.ranges}
        return sum(self.asked.is_own(row) for each in sources for row in self.view.vectors(each, kind)[0])


def _key(moment: Moment) -> tuple[str, float]:
    """What tells results apart, as their ids do."""
    if moment.kind != "text":
        return moment.id, moment.best_end
    told = moment.told
    return moment.id, crc32(moment.text.encode()) if told is None else told.number


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
