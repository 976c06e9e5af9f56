"""Where time zero lies, and when and how long each picture is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

TICK = Fraction(1, 1_000_000)  # a time base for streams that name none


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded picture and its seconds on our time line."""

    t: Fraction
    end: Fraction
    frame: VideoFrame


def time_zero(container: InputContainer, stream: VideoStream, first_pts: int | None) -> Fraction:
    """FFmpeg's time of our zero, in seconds; `container.start_time` counts subtitle and data streams too."""
    base = stream.time_base or TICK
    first = [] if first_pts is None else [first_pts * base]
    if "mov" in container.format.name.split(","):
        return min([Fraction(0), *first])
    starts = [
        each.start_time * each.time_base
        for each in (*container.streams.audio, *container.streams.video)
        if each.start_time is not None and each.time_base
    ]
    return min(starts + first, default=Fraction(0))


class Clock:
    """Gives each picture its time; follows FFmpeg's guess where presentation times step back."""

    def __init__(self, stream: VideoStream, zero: Fraction) -> None:
        self._base = stream.time_base or TICK
        self._zero = zero
        self._rate = stream.average_rate or stream.guessed_rate
        self._guess = _Guess()
        self._last: Fraction | None = None
        self.end = Fraction(0)  # of the pictures so far

    def shown(self, frames: Iterable[VideoFrame]) -> Iterator[Shown]:
        """Each picture with its seconds; times never step back."""
        for frame in frames:
            t = self._time(frame)
            self._last = t
            end = t + self._length(frame)
            self.end = max(self.end, end)
            yield Shown(t, end, frame)

    def _time(self, frame: VideoFrame) -> Fraction:
        ticks = self._guess(frame)
        if ticks is None:  # no time at all: right behind what came before
            return Fraction(0) if self._last is None else self.end
        t = ticks * self._base - self._zero
        return t if self._last is None else max(t, self._last)

    def _length(self, frame: VideoFrame) -> Fraction:
        if frame.duration > 0:
            return frame.duration * self._base
        return 1 / self._rate if self._rate else Fraction(0)


class _Guess:
    """FFmpeg's best-effort timestamp, as its players use it: presentation times, unless those step back more
    often than decoding times do (AVI has only the latter, so pictures out of order get wrong ones)."""

    def __init__(self) -> None:
        self._faulty_pts = self._faulty_dts = 0
        self._last_pts: int | None = None
        self._last_dts: int | None = None

    def __call__(self, frame: VideoFrame) -> int | None:
        pts, dts = frame.pts, frame.dts
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts
