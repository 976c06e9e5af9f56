"""When a video's pictures begin and end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from extractor.media.clock import Shown


@dataclass(frozen=True, slots=True)
class Scan:
    """Where each picture begins, in order (or only the first, where no more is asked), and where the last one
    ends, on our time line; `start`: where the first picture or sound begins."""

    times: tuple[Fraction, ...]
    end: Fraction
    start: Fraction


def of_pictures(
    pictures: Iterable[Shown[VideoFrame]], end: Callable[[], Fraction], stream: VideoStream, zero: Fraction
) -> Scan:
    """What their decoding says."""
    times = tuple(picture.t for picture in pictures)
    return scan_of(times, end(), stream, zero)


def scan_of(times: tuple[Fraction, ...], end: Fraction, stream: VideoStream, zero: Fraction) -> Scan:
    """With where the sound begins."""
    return Scan(times, end, begin_of(times[:1], stream, zero))


def begin_of(first: tuple[Fraction, ...], stream: VideoStream, zero: Fraction) -> Fraction:
    """Where the first picture or sound begins."""
    sounds = [
        each.start_time * each.time_base - zero
        for each in stream.container.streams.audio
        if each.start_time is not None and each.time_base
    ]
    return min([*first, *sounds], default=Fraction(0))
