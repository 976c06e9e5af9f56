"""Videos that are copies of each other, wholly or by ranges, and which belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.types import Kind
from index.aligned import Range, Rule, ranges
from index.alike import Met, candidates, distances
from index.footage import Footage, Track
from index.progress import Progress
from index.snapshot import Snapshot
from index.sources import SourceInfo
from index.together import Together

MOST_HELD_BYTES = 1 << 29  # vectors of videos that are compared again soon
_WHOLE = 0.9  # of a video's seconds

Sort = Literal["copy", "excerpt", "range"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two videos and what they share."""

    first: str
    second: str
    ranges: tuple[Range, ...]
    first_share: float  # of its seconds that the other has
    second_share: float

    @property
    def sort(self) -> Sort:
        """Both are all there, one is a part of the other, or both have more."""
        shares = self.first_share, self.second_share
        return "copy" if min(shares) >= _WHOLE else "excerpt" if max(shares) >= _WHOLE else "range"

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.ranges)

    @property
    def similarity(self) -> float:
        """Mean cosine over all rows that fit."""
        return float(np.average([r.similarity for r in self.ranges], weights=[r.rows for r in self.ranges]))


@dataclass(frozen=True, slots=True)
class Found:
    """All pairs, copies first and then by the seconds they share, and what was counted as alike."""

    pairs: tuple[Pair, ...]
    least: float  # cosine; 0 where there was nothing to compare


@dataclass(frozen=True, slots=True)
class Group:
    """The same content several times; the first is the one to keep, if only one is to be."""

    members: tuple[SourceInfo, ...]

    @property
    def files(self) -> int:
        return sum(len(member.places) for member in self.members)


def find(
    snapshot: Snapshot, kind: Kind, *, min_seconds: float, least: float | None, progress: Progress
) -> Found:
    """Every pair of videos that share at least so many seconds; least None: by what the store holds."""
    if not snapshot.rows.get(kind):
        return Found((), 0.0)
    footage = Footage.of(snapshot, kind)
    if len(footage.lines) < 2:
        return Found((), 0.0)
    alike = distances(footage, footage.vectors).least if least is None else least
    rule = Rule(alike, min_seconds, footage.step_s, len(footage.lines))
    met = candidates(footage, min_seconds, progress)
    tracks = _Tracks(footage)
    found = []
    progress.begin("aligning", sum(map(len, met)))
    for each in met:
        if pair := _pair(footage, tracks, each, rule):
            found.append(pair)
        progress.add(len(each))
    progress.end()
    order = ("copy", "excerpt", "range")
    ranked = sorted(found, key=lambda p: (order.index(p.sort), -p.seconds, p.first, p.second))
    return Found(tuple(ranked), rule.least)


def _pair(footage: Footage, tracks: _Tracks, met: Met, rule: Rule) -> Pair | None:
    first, second = int(footage.video[met.first[0]]), int(footage.video[met.second[0]])
    one, other = tracks.track(first), tracks.track(second)
    shared = ranges(one, other, footage.start[met.first], footage.start[met.second], rule)
    if not shared:
        return None
    one_id, other_id = (footage.snapshot.sources.id(int(footage.lines[video])) for video in (first, second))
    return Pair(
        one_id,
        other_id,
        tuple(shared),
        _covered([(each.start, each.end) for each in shared]) / one.seconds,
        _covered([(each.other_start, each.other_end) for each in shared]) / other.seconds,
    )


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that are in at least one."""
    seconds, until = 0.0, -np.inf
    for start, end in sorted(spans):
        seconds += max(end - max(start, until), 0.0)
        until = max(until, end)
    return float(seconds)


class _Tracks:
    """Videos' vectors, the last ones kept within a bound: pairs come sorted by their first video."""

    def __init__(self, footage: Footage) -> None:
        self._footage = footage
        self._held: dict[int, Track] = {}
        self._bytes = 0

    def track(self, video: int) -> Track:
        found = self._held.pop(video, None)
        if found is None:
            found = self._footage.track(video)
            self._bytes += found.vectors.nbytes
        self._held[video] = found  # now the youngest
        while self._bytes > MOST_HELD_BYTES and len(self._held) > 1:
            oldest = self._held.pop(next(iter(self._held)))
            self._bytes -= oldest.vectors.nbytes
        return found


def groups(snapshot: Snapshot, pairs: Sequence[Pair]) -> list[Group]:
    """Copies of copies are one group, and so are the places of one file; the largest first."""
    together: Together[str] = Together()
    for pair in pairs:
        if pair.sort == "copy":
            together.join(pair.first, pair.second)
    known = {id: info for id in together.seen if (info := snapshot.source(id))}
    sets = together.sets()
    made = [Group(tuple(sorted((known[each] for each in held), key=_worth))) for held in sets]
    made += [Group((info,)) for info in _many_places(snapshot) if info.id not in together.seen]
    return sorted(made, key=lambda group: (-group.files, group.members[0].id))


def _many_places(snapshot: Snapshot) -> Iterable[SourceInfo]:
    places = snapshot.sources.table["places"]
    for line, held in enumerate(places):
        if len(held) > 1 and line not in snapshot.hidden and not snapshot.sources.text(line):
            yield snapshot.sources.info(line)


def _worth(info: SourceInfo) -> tuple[float, float, int, str, str]:
    """The most picture elements, then the longest, then the most bytes, then the earliest."""
    facts = info.facts
    return -facts.width * facts.height, -round(facts.seconds), -facts.size, facts.created, info.id
