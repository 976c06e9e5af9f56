"""Where time zero lies, and when and how long each picture is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from extractor.media.packets import Losses

TICK = Fraction(1, 1_000_000)  # a time base for streams that name none
_FEW = 2  # pictures at one time, one after another, that a decoder's order explains
_JUMP = 1  # seconds; times that step back farther are wrong or begin anew


F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Shown(Generic[F]):
    """A picture, or what stands for one that is not decoded yet, and its seconds on our time line."""

    t: Fraction
    end: Fraction
    frame: F
    shot: Fraction = Fraction(0)  # when its shot begins, where shots are looked for
    is_key: bool = False

    def until(self, end: Fraction) -> Shown[F]:
        """The same with another end."""
        return Shown(self.t, end, self.frame, self.shot, self.is_key)


class Times(Protocol):
    """Gives each picture its seconds."""

    end: Fraction  # of the pictures so far

    def shown(self, frames: Iterable[VideoFrame]) -> Iterator[Shown[VideoFrame]]:
        """Each picture with its seconds, in order."""
        ...


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

    def __init__(self, stream: VideoStream, zero: Fraction, losses: Losses | None = None) -> None:
        self._base = stream.time_base or TICK
        self._zero = zero  # less what is added after times that began anew
        self._rate = stream.average_rate or stream.guessed_rate
        self._losses = losses or Losses()
        self._guess = _Guess(_JUMP / self._base)
        self._last: Fraction | None = None
        self._squeezed = 0  # into one time, until now
        self.end = Fraction(0)  # of the pictures so far

    def shown(self, frames: Iterable[VideoFrame]) -> Iterator[Shown[VideoFrame]]:
        """Each picture with its seconds; times never step back. One more is held than was given out."""
        held: tuple[VideoFrame, Fraction | None] | None = None
        for frame in frames:
            said = self._said(frame)
            if held is not None:
                yield self._placed(*held, said)
            held = frame, said
        if held is not None:
            yield self._placed(*held, None)

    def _said(self, frame: VideoFrame) -> Fraction | None:
        ticks = self._guess(frame)
        return None if ticks is None else ticks * self._base

    def _placed(
        self, frame: VideoFrame, said: Fraction | None, following: Fraction | None
    ) -> Shown[VideoFrame]:
        last, t = self._last, self._time(said, following)
        self._squeezed = self._squeezed + 1 if last is not None and t <= last else 0
        if self._squeezed > _FEW or (
            self._squeezed and said is not None and abs(said - self._zero - t) > _JUMP
        ):
            self._losses.packets += 1  # no room for it: the next picture takes its place
        self._last = t
        end = t + self._length(frame)
        self.end = max(self.end, end)
        return Shown(t, end, frame, is_key=bool(frame.key_frame))

    def _time(self, said: Fraction | None, following: Fraction | None) -> Fraction:
        last = self._last
        if said is None:  # no time at all: right behind what came before
            return Fraction(0) if last is None else self.end
        t = said - self._zero
        then = None if following is None else following - self._zero
        if then is not None and then >= (last or 0) and self._is_alone(t, then):
            return then if last is None else max(last, min(self.end, then))
        if last is not None and t < last - _JUMP:  # for good, as where recordings were put one behind another
            self._zero = said - self.end
            return self.end
        return t if last is None else max(t, last)

    def _is_alone(self, t: Fraction, then: Fraction) -> bool:
        """Whether only this picture's time is wrong: the next one is where it would be without this one."""
        return t > then + _JUMP or (self._last is not None and t < self._last - _JUMP)

    def _length(self, frame: VideoFrame) -> Fraction:
        if frame.duration > 0:
            return frame.duration * self._base
        return 1 / self._rate if self._rate else Fraction(0)


class _Guess:
    """FFmpeg's best-effort timestamp, as its players use it: presentation times, unless those step back more
    often than decoding times do (AVI has only the latter, so pictures out of order get wrong ones). A jump
    back is no such step."""

    def __init__(self, jump: Fraction) -> None:
        self._jump = jump  # in ticks
        self._faulty_pts = self._faulty_dts = 0
        self._last_pts: int | None = None
        self._last_dts: int | None = None

    def __call__(self, frame: VideoFrame) -> int | None:
        pts, dts = frame.pts, frame.dts
        if dts is not None:
            self._faulty_dts += self._steps_back(dts, self._last_dts)
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += self._steps_back(pts, self._last_pts)
            self._last_pts = pts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts

    def _steps_back(self, now: int, last: int | None) -> bool:
        return last is not None and last - self._jump <= now <= last
