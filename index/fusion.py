"""Moments that were seen and passages that were told, in one order: reciprocal ranks, added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np

from core.types import Float64Array, IntArray
from index.moments import Moment
from index.words import Told

K = 60  # of Cormack, Clarke and Büttcher (2009), and of everybody since
SEEN = "visual"  # the order by vectors
OF_WHOLE = ("title", "path")  # what is said of a video and not in it
_ORDER = ("text", "subtitles", "captions", *OF_WHOLE)
_TAKEN = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Above:
    """How many places of the orders are taken by what was answered before."""

    seen: int = 0
    told: int = 0


def reciprocal(rank: int) -> float:
    """What a place in one order counts."""
    return 1 / (K + rank)


@dataclass(frozen=True, slots=True)
class _Free:
    """The moments of one source that a line can go to, by their start."""

    start: Float64Array
    end: Float64Array
    reach: Float64Array  # how far those up to here go
    number: IntArray  # the lower, the better ranked; _TAKEN: a line has it

    @classmethod
    def of(cls, numbers: Sequence[int], moments: Sequence[Moment]) -> _Free:
        start, end = (np.array([getattr(moments[n], name) for n in numbers]) for name in ("start", "end"))
        order = np.argsort(start, kind="stable")
        reach = np.maximum.accumulate(end[order])
        return cls(start[order], end[order], reach, np.array(numbers, np.int64)[order])

    def take(self, told: Told) -> int | None:
        """The best ranked one that a line overlaps, which is free no more."""
        first = int(np.searchsorted(self.reach, told.start, side="right"))
        behind = int(np.searchsorted(self.start, max(told.end, told.start + 1e-6), side="left"))
        if first >= behind:
            return None
        near = np.where(self.end[first:behind] > told.start, self.number[first:behind], _TAKEN)
        at = int(near.argmin())
        if near[at] == _TAKEN:
            return None
        self.number[first + at] = _TAKEN
        return int(near[at])


@dataclass(slots=True)
class _Fused:
    """Moments with the sum of their reciprocal ranks."""

    moments: list[Moment] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    of_source: dict[str, list[int]] = field(default_factory=dict)
    free: dict[str, _Free] = field(default_factory=dict)

    def add(self, moment: Moment, by: str, rank: int) -> None:
        self.of_source.setdefault(moment.source, []).append(len(self.moments))
        self.moments.append(replace(moment, ranks=((by, rank),)))
        self.sums.append(reciprocal(rank))

    def join(self, number: int, moment: Moment, by: str, rank: int) -> None:
        self.moments[number] = replace(moment, ranks=(*moment.ranks, (by, rank)))
        self.sums[number] += reciprocal(rank)

    def of(self, source: str) -> Iterator[tuple[int, Moment]]:
        return ((number, self.moments[number]) for number in self.of_source.get(source, ()))

    def ordered(self) -> list[Moment]:
        """Best first. Of equal ones what was told: something is always seen, and seldom told."""
        rows = zip(self.moments, self.sums, strict=True)
        by_rank = sorted(rows, key=lambda row: (-row[1], row[0].told is None, row[0].source, row[0].start))
        return [moment for moment, _ in by_rank]


def fused(
    seen: Sequence[Moment], lines: Sequence[Told], names: Sequence[Told], above: Above = Above()
) -> list[Moment]:
    """Moments of videos. A line goes to the best moment that it overlaps and that has none yet, else it is
    one itself; a name goes to the best moment of its video, else to the whole of it."""
    found = _Fused()
    for rank, moment in enumerate(seen, 1 + above.seen):
        found.add(moment, SEEN, rank)
    found.free = {source: _Free.of(numbers, found.moments) for source, numbers in found.of_source.items()}
    for rank, told in enumerate(lines, 1 + above.told):
        _add_line(found, told, rank)
    for rank, of_video in enumerate(_by_video(names), 1 + above.told):
        _add_names(found, of_video, rank)
    return found.ordered()


def fused_texts(
    seen: Sequence[Moment], rankings: Iterable[Sequence[Told]], above: Above = Above()
) -> list[Moment]:
    """Lines and texts, each of which may have been found both ways."""
    found = _Fused()
    numbers: dict[tuple[str, int], int] = {}
    for rank, moment in enumerate(seen, 1 + above.seen):
        numbers[moment.id, crc32(moment.text.encode())] = len(found.moments)
        found.add(moment, SEEN, rank)
    for by, ranking in zip(("lines", "texts"), rankings, strict=True):
        for rank, told in enumerate(ranking, 1 + above.told):
            moment = _alone(told)
            number = numbers.get((moment.id, told.number))
            if number is None:
                found.add(moment, by, rank)
            else:
                found.join(number, _with(found.moments[number], told), by, rank)
    return found.ordered()


def _add_line(found: _Fused, told: Told, rank: int) -> None:
    free = found.free.get(told.source)
    number = free.take(told) if free else None
    if number is None:
        found.add(_alone(told), "lines", rank)
        return
    moment = found.moments[number]
    joined = replace(moment, start=min(moment.start, told.start), end=max(moment.end, told.end))
    found.join(number, _with(joined, told), "lines", rank)


def _by_video(names: Sequence[Told]) -> list[list[Told]]:
    held: dict[str, list[Told]] = {}
    for told in names:
        held.setdefault(told.source, []).append(told)
    return list(held.values())


def _add_names(found: _Fused, names: Sequence[Told], rank: int) -> None:
    best = max(found.of(names[0].source), key=lambda each: found.sums[each[0]], default=None)
    if best is None:
        found.add(_with(_alone(names[0]), *names[1:]), "names", rank)
    else:
        number, moment = best
        found.join(number, _with(moment, *names), "names", rank)


def _with(moment: Moment, *told: Told) -> Moment:
    """It matched on these as well; the first is shown unless one was told before."""
    matched = {*moment.matched, *(each.origin for each in told)}
    first = moment.told or (told[0] if told else None)
    return replace(moment, told=first, matched=tuple(sorted(matched, key=_ORDER.index)))


def _alone(told: Told) -> Moment:
    times = told.start, told.end
    return Moment(
        told.source,
        "text",
        *times,
        float("nan"),
        *times,
        rows=0,
        told=told,
        matched=(told.origin,),
        is_seen=False,
    )
