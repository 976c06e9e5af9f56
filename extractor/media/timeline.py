"""What the packets of a stream say of its pictures, before any of them is decoded."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from core.types import IntArray
from extractor.media.clock import TICK
from extractor.media.headers import HeaderWatch
from extractor.media.packets import VideoPacket
from extractor.media.scan import Scan, scan_of

HOLD_BYTES = 32 << 20  # of packets that are kept, so that a file is read once
_PACKET_BYTES = 800  # that each takes besides what is in it


@dataclass(frozen=True, slots=True)
class Timeline:
    """All packets, in the order of decoding. Packed: a film of ten hours has a million."""

    pts: IntArray  # ticks; of a packet without, whatever
    lengths: IntArray  # ticks; 0: not said
    is_key: NDArray[np.bool_]
    is_shown: NDArray[np.bool_]  # or taken away by an edit list
    is_told: bool  # each shown one says a time that no other has
    is_sound: bool  # none is damaged, and decoding may begin with any keyframe

    @property
    def first(self) -> int | None:
        """The earliest time of a picture that is shown."""
        shown = self.pts[self.is_shown]
        return int(shown.min()) if len(shown) else None

    def scan(self, stream: VideoStream, zero: Fraction, *, with_times: bool) -> Scan | None:
        """When pictures begin and end, or None where not each packet says so; all their times only on
        request: a film of ten hours has a million."""
        if not self.is_told:
            return None
        base, ticks = stream.time_base or TICK, self.pts[self.is_shown]
        wanted = sorted(ticks.tolist()) if with_times else [self.first or 0]
        times = tuple(each * base - zero for each in wanted)
        return scan_of(times, self.end(stream) - zero, stream, zero)

    def end(self, stream: VideoStream) -> Fraction:
        """Until when the last picture is shown, by FFmpeg's zero."""
        base, rate = stream.time_base or TICK, stream.average_rate or stream.guessed_rate
        pts, lengths = self.pts[self.is_shown], self.lengths[self.is_shown]
        is_said = lengths > 0
        ends = []
        if is_said.any():
            ends.append(int((pts + lengths)[is_said].max()) * base)
        if not is_said.all():
            ends.append(int(pts[~is_said].max()) * base + (1 / rate if rate else 0))
        return max(ends)


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found by reading packets; `held`: these, unless they are too many to hold."""

    timeline: Timeline
    held: list[VideoPacket] | None
    is_whole: bool  # or it was left off, since nothing can be planned


def survey(packets: Iterable[VideoPacket], stream: VideoStream, *, to_plan: bool = False) -> Survey:
    """Read all packets; if only `to_plan`, until it turns out that this cannot be done."""
    pts, lengths, keys, shown = array("q"), array("q"), bytearray(), bytearray()
    headers = HeaderWatch(stream)
    held: list[VideoPacket] | None = []
    size, is_told, is_sound, is_whole = 0, True, True, True
    for number, packet in enumerate(packets):
        is_key, is_shown = packet.is_keyframe, not packet.is_discard
        if packet.pts is None:
            is_told = is_told and not is_shown
            is_sound = False
        pts.append(packet.pts or 0)
        lengths.append(max(0, packet.duration or 0))
        keys.append(is_key)
        shown.append(is_shown)
        headers.look(packet, is_key=is_key)
        if packet.is_corrupt or (number and packet.has_sidedata("new_extradata")):
            is_sound = False
        if held is not None:
            size += packet.size + _PACKET_BYTES
            held.append(packet)
            if size > HOLD_BYTES:
                held = None
        if to_plan and not is_sound and held is not None:
            is_whole = False
            break
    of_shown = np.sort(_ticks(pts)[_flags(shown)])
    is_told = is_told and len(of_shown) > 0 and bool((np.diff(of_shown) > 0).all())
    is_sound = is_sound and headers.are_repeated
    arrays = _ticks(pts), _ticks(lengths), _flags(keys), _flags(shown)
    return Survey(Timeline(*arrays, is_told, is_sound), held, is_whole)


def _ticks(packed: array[int]) -> IntArray:
    return np.frombuffer(packed, np.int64)


def _flags(packed: bytearray) -> NDArray[np.bool_]:
    return np.frombuffer(packed, np.bool_)
