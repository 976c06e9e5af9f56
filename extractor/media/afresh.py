"""A video decoded once more, for `cinedex verify`: every packet of it, each picture at its own time stamp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.types import Look, Sampling
from extractor.media.clock import TICK, Clock, Shown, time_zero
from extractor.media.packets import Losses
from extractor.media.reader import Picture, Reader


def pictures_afresh(path: Path, sampling: Sampling, look: Look) -> Iterator[Picture]:
    """What extraction should have got. Which points are wanted is its choice; when a picture is shown, and
    where time zero lies, is found out again."""
    with Reader(path, times=OwnTimes) as reader:
        yield from reader.pictures(sampling, look)


class OwnTimes:
    """Each picture at its own presentation time, until one has none or they step back; from there on at the
    time that extraction's clock gives it, for then only a rule can say what is right. Zero is that of the
    first picture that comes, and not of packets."""

    def __init__(self, stream: VideoStream, zero: Fraction, losses: Losses) -> None:
        self._stream, self._base, self._zero = stream, stream.time_base or TICK, zero
        self._rate = stream.average_rate or stream.guessed_rate
        self._clock = Clock(stream, zero, losses)
        self.end = Fraction(0)  # of the pictures so far

    def shown(self, frames: Iterable[VideoFrame]) -> Iterator[Shown[VideoFrame]]:
        """Every picture with its seconds, in order."""
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        container = cast(InputContainer, self._stream.container)
        self._zero = time_zero(container, self._stream, first.pts)
        held: Shown[VideoFrame] | None = None
        last = Fraction(0)
        is_orderly = True
        for guessed in self._clock.shown(chain((first,), frames)):
            if held is not None:
                own, following = self._own(held.frame), self._own(guessed.frame)
                is_orderly = (
                    is_orderly and own is not None and following is not None and last <= own <= following
                )
                last = own if is_orderly and own is not None else held.t
                yield self._placed(held, last)
            held = guessed
        if held is not None:
            own = self._own(held.frame)
            yield self._placed(held, own if is_orderly and own is not None and own >= last else held.t)

    def _own(self, frame: VideoFrame) -> Fraction | None:
        return None if frame.pts is None else frame.pts * self._base - self._zero

    def _placed(self, guessed: Shown[VideoFrame], t: Fraction) -> Shown[VideoFrame]:
        frame = guessed.frame
        length = frame.duration * self._base if frame.duration > 0 else 1 / self._rate if self._rate else 0
        self.end = max(self.end, t + length)
        return replace(guessed, t=t, end=t + length)
