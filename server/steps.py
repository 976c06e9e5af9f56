"""The steps of a sequence: what is looked for in each, and where."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.query import Hits, Query
from core.types import Float64Array, Kind
from index.moments import Moment
from index.snapshot import Snapshot
from server.compose import Sought
from server.cursor import LOOK_AT_MOST
from server.judged import Judged, rounded
from server.moments import chosen, holding, moments_of
from server.ranking import Ranking
from server.sequence import Chain, Gap, WantedRows, chains

SAY_WHERE = 4_096  # rows of each step, whose videos are looked through


@dataclass(frozen=True, slots=True)
class Step:
    """What is looked for in one step, and how its hits are judged."""

    query: Query
    asked: Sought
    judged: Judged
    absent: bool

    @classmethod
    def of(cls, query: Query, asked: Sought, number: int, view: Snapshot, kind: Kind) -> Step:
        """The step of that number."""
        least = query.min_confidence
        absent = query.steps[number].absent
        judged = Judged.of(replace(query, min_confidence=None if absent else least), view, kind, asked)
        return cls(query, asked, judged, absent)

    def there(self, hits: Hits, everywhere: Hits) -> Hits:
        """The rows in which it happens for sure, if it is not to: by their confidence; where nothing is
        calibrated, those nearer to the best row anywhere than to the weakest that was looked at."""
        judge, scores = self.judged.judge, everywhere.scores
        if not len(scores):
            return Hits.none()
        if judge is not None:
            is_there = [judge.level(score) in ("high", "medium") for score in hits.scores.tolist()]
        else:
            is_there = (hits.scores >= (scores.max() + scores.min()) / 2).tolist()
        return chosen(hits, np.flatnonzero(is_there).tolist())


@dataclass(frozen=True, slots=True)
class Chained:
    """The chains that were found, best first, as moments of the steps that are not absent."""

    groups: list[list[Moment]]
    is_all: bool
    seconds: float
    confident: bool | None
    hits: Sequence[Hits]  # of these steps
    rows: int = LOOK_AT_MOST


def look(query: Query, steps: Sequence[Step], view: Snapshot, kind: Kind) -> Chained:
    """Find them. The best rows of each step say which videos to look through."""
    began = time.perf_counter()
    rankings = [Ranking(view, query, kind, step.asked, step.judged, None) for step in steps]
    first = [ranking.hits(min(SAY_WHERE, LOOK_AT_MOST)) for ranking in rankings]
    deep, is_all = first, all(is_whole for _, is_whole in first)
    if not is_all:
        sources = frozenset(
            source
            for (hits, _), step in zip(first, steps, strict=True)
            for source in {each.source for each in hits.segments}
            if not step.absent
        )
        deep = [ranking.hits(LOOK_AT_MOST, sources) for ranking in rankings]
    wanted = [
        WantedRows(step.there(hits, everywhere) if step.absent else hits, step.absent)
        for step, (hits, _), (everywhere, _) in zip(steps, deep, first, strict=True)
    ]
    times = Gap(query.min_gap_s, float("inf") if query.within_s is None else query.within_s)
    present = [(step, one.hits) for step, one in zip(steps, wanted, strict=True) if not step.absent]
    groups = [
        _moments(chain, [hits for _, hits in present], kind)
        for chain in chains(wanted, times, query.by_video)
    ]
    if not query.by_video:
        groups = _each_once(groups, [moments_of(hits, kind, 0.0) for _, hits in present])
    judged = [step.judged for step, _ in present]
    kept = [group for group in groups if _is_enough(group, judged, query.min_score)]
    confident = None
    if all(each.judge for each in judged):
        confident = any(_is_confident(group, judged) for group in groups)
    seconds = time.perf_counter() - began
    return Chained(kept, is_all, seconds, confident, [hits for _, hits in present])


def _moments(chain: Chain, hits: Sequence[Hits], kind: Kind) -> list[Moment]:
    found = []
    for number, of_step in zip(chain.rows, hits, strict=True):
        row = of_step.segments[number]
        times = row.start, row.end
        found.append(Moment(row.source, kind, *times, float(of_step.scores[number]), *times))
    return found


def _each_once(groups: Sequence[list[Moment]], moments: Sequence[Sequence[Moment]]) -> list[list[Moment]]:
    """Less those whose rows lie in the same moments of their steps as those of a better one."""
    by_source = [_by_source(of_step) for of_step in moments]
    kept: dict[tuple[object, ...], list[Moment]] = {}
    for group in groups:
        source = group[0].source
        inside = (holding(*of_step[source], row) for of_step, row in zip(by_source, group, strict=True))
        kept.setdefault((source, *inside), group)
    return [*kept.values()]


def _by_source(moments: Sequence[Moment]) -> dict[str, tuple[Float64Array, Float64Array]]:
    """When the moments of each begin and end."""
    found: dict[str, list[Moment]] = {}
    for moment in moments:
        found.setdefault(moment.source, []).append(moment)
    return {
        source: (np.array([m.start for m in each]), np.array([m.end for m in each]))
        for source, each in found.items()
    }


def mean_score(moments: Sequence[Moment]) -> float:
    """What a sequence scores."""
    return sum(moment.score for moment in moments) / len(moments)


def _is_enough(moments: Sequence[Moment], judged: Sequence[Judged], min_score: float | None) -> bool:
    """Its score, and the confidence of each step."""
    if min_score is not None and rounded(mean_score(moments)) < min_score:
        return False
    return all(
        each.judge is None or each.judge.confidence(moment.score) >= (each.min_confidence or 0.0)
        for moment, each in zip(moments, judged, strict=True)
    )


def _is_confident(moments: Sequence[Moment], judged: Sequence[Judged]) -> bool:
    return all(
        each.level(moment.score) in ("high", "medium") for moment, each in zip(moments, judged, strict=True)
    )
