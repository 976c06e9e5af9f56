"""Frame rows that depend on what is around: which runs of points are looked at, and who waits for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from core.errors import UsageError
from core.types import IntArray, Sampling
from extractor.clips import Point
from extractor.encoders.base import Around, Encoder, around_of

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Ready(Generic[F]):
    """Points that can have their rows, and the runs that these are made of: all that hold one of them."""

    points: tuple[Point[F], ...] = ()
    runs: tuple[tuple[Point[F], ...], ...] = ()


class Among(Generic[F]):
    """The points of one video, each until all runs that hold it are there. Runs begin every `step` points;
    the first that reaches the end is the last one, and ends with it."""

    def __init__(self, around: Around) -> None:
        self._length, self._step = around.points, around.step
        self.held: list[Point[F]] = []
        self._before = 0  # how many were let go
        self._told = 0  # how many have been ready

    def add(self, point: Point[F]) -> None:
        """Take the next one."""
        self.held.append(point)

    def ready(self, *, is_end: bool) -> Ready[F]:
        """Those that became ready, each once."""
        count = self._before + len(self.held)
        last = self._last(count) if is_end else (count - self._length) // self._step
        until = count if is_end else min(count, self._step * (last + 1))
        if until <= self._told:
            return Ready()
        first = self._first(self._told)
        starts = (self._step * run for run in range(first, min(last, (until - 1) // self._step) + 1))
        runs = tuple(self._of(start, start + self._length) for start in starts)
        found = Ready(self._of(self._told, until), runs)
        self._told = until
        self._let_go(self._step * self._first(until))
        return found

    def _of(self, start: int, end: int) -> tuple[Point[F], ...]:
        return tuple(self.held[start - self._before : end - self._before])

    def _let_go(self, start: int) -> None:
        count = min(start - self._before, len(self.held))
        del self.held[:count]
        self._before += count

    def _first(self, number: int) -> int:
        """The first run that holds a point."""
        return max(0, (number - self._length) // self._step + 1)

    def _last(self, count: int) -> int:
        """The last run of so many points."""
        return max(0, -((self._length - count) // self._step))


def entries_of(runs: tuple[tuple[Point[F], ...], ...]) -> dict[int, IntArray]:
    """Where the rows of each point are among those of all runs, one behind the other."""
    found: dict[int, list[int]] = {}
    numbers = (point.number for run in runs for point in run)
    for place, number in enumerate(numbers):
        found.setdefault(number, []).append(place)
    return {number: np.array(places, dtype=np.int64) for number, places in found.items()}


def require_seen(encoder: Encoder, sampling: Sampling) -> None:
    """That all of a clip is looked at, and in its time. Of a whole video the beginning may be, as authors
    test."""
    around, count = around_of(encoder), sampling.fps * sampling.clip_seconds
    if around and sampling.skip_still:
        raise UsageError(
            f"skip-still {sampling.skip_still:g} leaves out points, by whose number {encoder.spec.name} "
            "knows when something happens; leave it out."
        )
    if around and not sampling.is_whole and count > around.points:
        raise UsageError(
            f"clip-seconds {sampling.clip_seconds:g} make clips of {count:g} points, of which "
            f"{encoder.spec.name} sees {around.points} at most."
        )
