"""Which points make a clip: those within so many seconds, or all of a run, be it a shot or the whole video.

For who sees the first points of a run alone it is made of these. Either way a clip never has more than
`limit` points, and no more are held for the clips to come.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Generic, Protocol, TypeVar

from core.errors import UsageError
from core.types import Sampling

F = TypeVar("F")

_SLACK = 1e-6  # of a grid step: times are float64 here
_FINEST = 100_000  # parts of a grid step that clips can tell apart
_TICKS = 1_000_000  # a second, where there is no grid


@dataclass(frozen=True, slots=True)
class Point(Generic[F]):
    """One picture's feature and seconds; with shots also when its own begins."""

    number: int
    t: float
    end: float
    feature: F
    shot: float = 0.0


@dataclass(frozen=True, slots=True)
class Clip(Generic[F]):
    """Some points, in order, and the seconds that they stand for together."""

    start: float
    end: float
    points: tuple[Point[F], ...]


class Former(Protocol[F]):
    """Makes clips of points that come in order."""

    @property
    def held(self) -> list[Point[F]]:
        """What clips to come may need."""

    def complete(self, point: Point[F]) -> list[Clip[F]]:
        """The clips that end before this point; called before it is added."""

    def admits(self, point: Point[F]) -> bool:
        """Whether clips take this point; may let go of others, so that it fits."""

    def forget(self, is_in_clips: bool) -> None:
        """Let go of what no clip to come can hold."""

    def add(self, point: Point[F]) -> None:
        """Take the point."""

    def finish(self) -> list[Clip[F]]:
        """The clips that are left."""


def former(sampling: Sampling, limit: int, first: int | None = None) -> Former[F]:
    """The one that this sampling asks for; `first`: how many points of a run are seen, if not all."""
    if sampling.is_whole or sampling.points == "shots":
        return Runs(sampling, limit, first)
    return Timed(sampling, limit)


class Runs(Generic[F]):
    """Each shot, or the whole video. Of a run of more points every second is kept, or every fourth, …; or the
    first ones, where that is asked."""

    def __init__(self, sampling: Sampling, limit: int, first: int | None = None) -> None:
        self._by_shot, self._keeps_first = not sampling.is_whole, first is not None
        self._limit = min(limit, first or limit)
        self._begin()

    def _begin(self) -> None:
        self.held: list[Point[F]] = []
        self._count, self._stride = 0, 1
        self._start: float | None = None
        self._last: Point[F] | None = None

    def complete(self, point: Point[F]) -> list[Clip[F]]:
        """The shot before, where this point begins another."""
        last = self._last
        return self.finish() if self._by_shot and last is not None and point.shot > last.shot else []

    def admits(self, point: Point[F]) -> bool:
        """Whether it is one of every 2ⁿ, or of the first."""
        if self._start is None:
            self._start = point.shot if self._by_shot else point.t
        self._last = point
        if self._keeps_first:
            return len(self.held) < self._limit
        number, self._count = self._count, self._count + 1
        while number % self._stride == 0 and len(self.held) == self._limit:
            del self.held[1::2]
            self._stride *= 2
        return number % self._stride == 0

    def forget(self, is_in_clips: bool) -> None:
        """All of a run is needed to its end."""

    def add(self, point: Point[F]) -> None:
        """Take one that was admitted."""
        self.held.append(point)

    def finish(self) -> list[Clip[F]]:
        """The run that has come to its end."""
        if self._start is None or self._last is None:
            return []
        clip = Clip(self._start, self._last.end, tuple(self.held))
        self._begin()
        return [clip]


class Timed(Generic[F]):
    """Clips of `clip_seconds` that start every `stride_seconds` from the first point on; the last one ends
    with the last point. Points of a grid are counted by its steps, so that a clip of 8 s at 1 fps has 8
    points although pictures begin a little before their grid points; others by their times, to the
    microsecond. Of these, clips leave out what comes sooner than `clip_seconds / limit` after a point that
    they hold."""

    def __init__(self, sampling: Sampling, limit: int) -> None:
        self._fps = sampling.fps if sampling.points == "fps" else None
        rate = sampling.fps if self._fps else _TICKS
        self._length, self._stride = (
            _steps(sampling.clip_seconds, rate),
            _steps(sampling.stride_seconds, rate),
        )
        if self._fps and ceil(self._length) > limit:
            raise UsageError(f"Clips of {ceil(self._length)} points do not fit a window of {limit}.")
        self._least = 0 if self._fps else ceil(self._length / limit)  # slots between two points
        self._origin: float | None = None
        self._next = 0  # number of the clip that is not complete yet
        self._due = ceil(self._length)  # the first slot after it: most points complete nothing
        self._slot = 0  # of the point at hand
        self._latest = (-1, -1)  # numbers of the latest clip's first and last point
        self._end = 0.0
        self._slots: list[int] = []
        self.held: list[Point[F]] = []

    def complete(self, point: Point[F]) -> list[Clip[F]]:
        """The clips that end before this point."""
        self._slot, self._end = self._place(point.t), point.end
        return self._complete(self._slot)

    def admits(self, point: Point[F]) -> bool:
        """Whether it comes late enough after the last one."""
        return not self._slots or self._slot - self._slots[-1] >= self._least

    def forget(self, is_in_clips: bool) -> None:
        """Drop what lies a clip's length before the latest point that clips take."""
        latest = self._slot if is_in_clips else self._slots[-1]
        count = self._after(latest - self._length)
        del self.held[:count], self._slots[:count]

    def add(self, point: Point[F]) -> None:
        """Take one that was admitted."""
        self.held.append(point)
        self._slots.append(self._slot)

    def finish(self) -> list[Clip[F]]:
        """The clips up to the end, the last one with the last point."""
        if not self.held:
            return []
        last = self._slots[-1]
        clips = self._complete(last + 1 if self._fps else self._place(self._end))
        if self._latest[1] < self.held[-1].number:
            clips += self._clip(self._after(last - self._length), len(self.held))
        return clips

    def _place(self, t: float) -> int:
        """The grid point from which on it is seen, the first one already before it begins; or its
        microsecond, one later, so that what is rounded lies in the clip that begins there."""
        if self._origin is None:
            self._origin = floor(t * self._fps + _SLACK) if self._fps else t
            return 0 if self._fps else 1
        if not self._fps:
            return _ticks(t - self._origin) + 1
        return max(ceil(t * self._fps - _SLACK) - int(self._origin), self._slot + 1)

    def _from(self, slot: Fraction) -> int:
        return bisect_left(self._slots, ceil(slot))

    def _after(self, slot: Fraction) -> int:
        return bisect_left(self._slots, floor(slot) + 1)

    def _complete(self, known: int) -> list[Clip[F]]:
        """The clips that end before the slot `known`; no new point will lie in them."""
        found: list[Clip[F]] = []
        if known < self._due:
            return found
        while (start := self._next * self._stride) + self._length <= known:
            first, last = self._from(start), self._from(start + self._length)
            found += self._clip(first, last)
            following = self._slots[last] if last < len(self._slots) else known
            step = floor((following - self._length) / self._stride) + 1  # where a point comes in
            if first < last:  # or goes out; in between, clips hold the same points or none
                step = min(step, floor(self._slots[first] / self._stride) + 1)
            self._next = step
        self._due = ceil(self._next * self._stride + self._length)
        return found

    def _clip(self, first: int, last: int) -> list[Clip[F]]:
        """The clip of these points, unless there are none or it is the one before."""
        points = tuple(self.held[first:last])
        ends = (points[0].number, points[-1].number) if points else self._latest
        if ends == self._latest:
            return []
        self._latest = ends
        return [Clip(points[0].t, points[-1].end, points)]


@lru_cache(maxsize=64)
def _steps(seconds: float, rate: float) -> Fraction:
    """How many steps that is; a third of a second thrice is one, whatever its digits."""
    exact = Fraction(repr(seconds)) * Fraction(repr(rate))
    return max(exact.limit_denominator(_FINEST), Fraction(1, _FINEST))


def _ticks(seconds: float) -> int:
    return round(seconds * _TICKS)
