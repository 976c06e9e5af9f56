"""When a video's pictures begin and end: from its packets, which cost nothing, or from its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from av.video.stream import VideoStream

from extractor.media.clock import TICK, Shown
from extractor.media.packets import VideoPacket


@dataclass(frozen=True, slots=True)
class Scan:
    """Where each picture begins, in order, and where the last one ends, on our time line; `start`: where the
    first picture or sound begins."""

    times: tuple[Fraction, ...]
    end: Fraction
    start: Fraction


def of_packets(packets: Iterable[VideoPacket], stream: VideoStream, zero: Fraction) -> Scan | None:
    """What the packets of shown pictures say, or None where not each of them says a time of its own."""
    base = stream.time_base or TICK
    rate = stream.average_rate or stream.guessed_rate
    times: set[int] = set()
    count, end = 0, zero
    for packet in packets:
        if packet.is_discard:
            continue
        if packet.pts is None:
            return None
        count += 1
        times.add(packet.pts)
        seconds = packet.duration * base if packet.duration else 1 / rate if rate else Fraction(0)
        end = max(end, packet.pts * base + seconds)
    if len(times) < count or not times:
        return None
    return _scan(tuple(ticks * base - zero for ticks in sorted(times)), end - zero, stream, zero)


def of_pictures(
    pictures: Iterable[Shown], end: Callable[[], Fraction], stream: VideoStream, zero: Fraction
) -> Scan:
    """What their decoding says."""
    times = tuple(picture.t for picture in pictures)
    return _scan(times, end(), stream, zero)


def _scan(times: tuple[Fraction, ...], end: Fraction, stream: VideoStream, zero: Fraction) -> Scan:
    sounds = [
        each.start_time * each.time_base - zero
        for each in stream.container.streams.audio
        if each.start_time is not None and each.time_base
    ]
    return Scan(times, end, min([*times[:1], *sounds], default=Fraction(0)))
