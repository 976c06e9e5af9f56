"""A video decoded once more, for `cinedex verify`: from the first packet to the last, by its own stamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import UsageError, VideoError
from core.types import Look, Sampling
from extractor.media import sniff
from extractor.media.clock import TICK, Clock, Shown, time_zero
from extractor.media.grid import exact, rows
from extractor.media.opening import choose_stream, open_container
from extractor.media.packets import Losses, decode, read
from extractor.media.picture import Lens
from extractor.media.reader import Picture


def pictures_afresh(path: Path, sampling: Sampling, look: Look) -> Iterator[Picture]:
    """What `Reader.pictures` should give: without its plan of what to decode, and without its clock where the
    file's own time stamps are in order."""
    name = sniff.shown_name(path)
    try:
        with open_container(path, sniff.refuse(path)) as container:
            stream = choose_stream(container, path)
            frames = decode(read(container, stream, Losses()), stream, Losses())
            first = next(frames, None)
            if first is None:
                raise VideoError(f"{name} has no picture that can be decoded.")
            times = OwnTimes(stream, time_zero(container, stream, first.pts))
            lens = Lens(look, stream.sample_aspect_ratio)
            for point in _points(times, chain((first,), frames), sampling):
                yield Picture(float(point.t), float(point.end), lens(point.frame))
    except av.error.FFmpegError as error:
        raise VideoError(f"{name} cannot be read: {error.strerror}.") from error


def _points(times: OwnTimes, frames: Iterable[VideoFrame], sampling: Sampling) -> Iterator[Shown]:
    """The choice of points is extraction's own: it says what is wanted, not how that is read."""
    if sampling.points != "fps":
        raise UsageError(f"points {sampling.points!r} do not work yet; only 'fps' does.")
    yield from rows(times.shown(frames), exact(sampling.fps), lambda: times.end)


class OwnTimes:
    """Each picture at its own presentation time, until one has none or they step back; from there on at the
    time that extraction's clock gives it, for then only a rule can say what is right."""

    def __init__(self, stream: VideoStream, zero: Fraction) -> None:
        self._base, self._zero = stream.time_base or TICK, zero
        self._rate = stream.average_rate or stream.guessed_rate
        self._clock = Clock(stream, zero)
        self.end = Fraction(0)  # of the pictures so far

    def shown(self, frames: Iterable[VideoFrame]) -> Iterator[Shown]:
        """Every picture with its seconds, in order."""
        held: Shown | None = None
        last = Fraction(0)
        is_orderly = True
        for guessed in self._clock.shown(frames):
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

    def _placed(self, guessed: Shown, t: Fraction) -> Shown:
        frame = guessed.frame
        length = frame.duration * self._base if frame.duration > 0 else 1 / self._rate if self._rate else 0
        self.end = max(self.end, t + length)
        return replace(guessed, t=t, end=t + length)
