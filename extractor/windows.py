"""A video as a run of bounded windows of features, each clip whole in one of them.

Points come in order, one by one; what is held is never more than `limit` of them, whatever the length of the
video. Clips start every `stride_seconds` from the first point on and last `clip_seconds`; the last one ends
with the last point. Points are counted by the grid of the sampling, so that a clip of 8 s at 1 fps has 8
points although pictures begin a little before their grid points.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Generic, TypeVar

import numpy as np

from core.errors import UsageError, VideoError
from core.types import MAX_CLIP_POINTS, IntArray, Sampling

F = TypeVar("F")

_SLACK = 1e-6  # of a grid step: times are float64 here
_FINEST = 100_000  # parts of a grid step that clips can tell apart


@dataclass(frozen=True, slots=True)
class Row:
    """What one vector will stand for: seconds [start, end), made of these features of its window."""

    start: float
    end: float
    index: IntArray


@dataclass(frozen=True, slots=True)
class Window(Generic[F]):
    """Features, and the rows that can now be made of them by `encoder.clips(features, [row.index, …])`."""

    features: tuple[F, ...]
    frames: tuple[Row, ...]
    clips: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Point(Generic[F]):
    slot: int  # the grid point from which on it is seen
    t: float
    end: float
    feature: F


def _slots(seconds: float, fps: float) -> Fraction:
    """How many grid points that is; a third of a second thrice is one, whatever its digits."""
    exact = Fraction(repr(seconds)) * Fraction(repr(fps))
    return max(exact.limit_denominator(_FINEST), Fraction(1, _FINEST))


class Windows(Generic[F]):
    """The windows of one video: `push` each point, then `finish`; either gives a window when one is ready."""

    def __init__(self, sampling: Sampling, limit: int = MAX_CLIP_POINTS) -> None:
        if sampling.points != "fps":
            raise UsageError(f"points {sampling.points!r} do not work yet; only 'fps' does.")
        self._sampling = sampling
        self._limit = limit
        self._length = _slots(sampling.clip_seconds, sampling.fps)
        self._stride = _slots(sampling.stride_seconds, sampling.fps)
        if ceil(self._length) > limit and not sampling.whole:
            raise UsageError(f"Clips of {ceil(self._length)} points do not fit a window of {limit}.")
        self._origin = 0  # the first point's slot
        self._next = 0  # number of the clip that is not complete yet
        self._held: list[_Point[F]] = []
        self._gone = 0  # points before the held ones; below, points are numbered from the video's first
        self._framed = 0  # points that have their frame row
        self._clips: list[range] = []  # the points of each that no window has had yet
        self._clipped = 0  # points up to the end of the latest clip

    def push(self, t: float, end: float, feature: F) -> Window[F] | None:
        """Take the next point. Times must rise."""
        slot = self._slot(t)
        window = None
        if not self._sampling.whole:
            self._complete(slot)
        if len(self._held) == self._limit:
            if self._sampling.whole:
                raise VideoError(f"One clip of the whole video would have more than {self._limit} points.")
            window = self._window()
            self._forget(slot - self._length)
        self._held.append(_Point(slot, t, end, feature))
        return window

    def finish(self) -> Window[F] | None:
        """After the last point."""
        if not self._held:
            return None
        last = self._held[-1].slot
        if self._sampling.whole:
            self._add_clip(self._gone, self._count)
        else:
            self._complete(last + 1)
            if self._clipped < self._count:
                self._add_clip(self._first_after(last - self._length), self._count)
        return self._window()

    @property
    def _count(self) -> int:
        return self._gone + len(self._held)

    def _slot(self, t: float) -> int:
        """A picture is seen from the next grid point on; the first one already before it begins."""
        steps = t * self._sampling.fps
        if not self._count:
            self._origin = floor(steps + _SLACK)
            return 0
        return max(ceil(steps - _SLACK) - self._origin, self._held[-1].slot + 1)

    def _first_from(self, slot: Fraction) -> int:
        return self._gone + bisect_left(self._held, ceil(slot), key=lambda point: point.slot)

    def _first_after(self, slot: Fraction) -> int:
        return self._first_from(Fraction(floor(slot) + 1))

    def _complete(self, known: int) -> None:
        """Find the clips that end before the slot `known`; no new point will lie in them."""
        while (start := self._next * self._stride) + self._length <= known:
            first, last = self._first_from(start), self._first_from(start + self._length)
            if first < last:
                self._add_clip(first, last)
            following = self._held[last - self._gone].slot if last < self._count else known
            step = floor((following - self._length) / self._stride) + 1  # where a point comes in
            if first < last:  # or goes out; in between, clips hold the same points or none
                step = min(step, floor(self._held[first - self._gone].slot / self._stride) + 1)
            self._next = step

    def _add_clip(self, first: int, last: int) -> None:
        self._clips.append(range(first, last))
        self._clipped = last

    def _forget(self, slot: Fraction) -> None:
        """Drop the points up to this slot: no clip to come can hold them."""
        first = self._first_after(slot)
        del self._held[: first - self._gone]
        self._gone = first

    def _window(self) -> Window[F] | None:
        """All rows that are ready, and just the features that they need."""
        clips, self._clips = self._clips, []
        framed, self._framed = self._framed, self._count
        frames = [range(i, i + 1) for i in range(framed, self._count)] if self._sampling.keep_frames else []
        if not clips and not frames:
            return None
        first = min(points.start for points in (*clips, *frames[:1]))
        last = max(points.stop for points in (*clips, *frames[-1:]))
        features = tuple(point.feature for point in self._held[first - self._gone : last - self._gone])
        return Window(
            features,
            tuple(self._row(points, first) for points in frames),
            tuple(self._row(points, first) for points in clips),
        )

    def _row(self, points: range, first: int) -> Row:
        """From its first picture's beginning to its last one's end."""
        start, end = self._held[points.start - self._gone], self._held[points.stop - 1 - self._gone]
        return Row(start.t, end.end, np.arange(points.start - first, points.stop - first, dtype=np.int64))
