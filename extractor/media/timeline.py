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
from extractor.media.packets import VideoPacket
from extractor.media.scan import Scan, scan_of

HOLD_BYTES = 32 << 20  # of packets that are kept, so that a file is read once


@dataclass(frozen=True, slots=True)
class Timeline:
    """All packets, in the order of decoding. Packed: a film of ten hours has a million."""

    pts: IntArray  # ticks; of a packet without, whatever
    lengths: IntArray  # ticks; 0: not said
    is_key: NDArray[np.bool_]
    is_shown: NDArray[np.bool_]  # or taken away by an edit list
    is_told: bool  # each shown one says a time that no other has
    is_sound: bool  # none is damaged, none changes what the decoder was told in the beginning

    @property
    def first(self) -> int | None:
        """The earliest time of a picture that is shown."""
        shown = self.pts[self.is_shown]
        return int(shown.min()) if len(shown) else None

    def scan(self, stream: VideoStream, zero: Fraction) -> Scan | None:
        """When pictures begin and end, or None where not each packet says so."""
        if not self.is_told:
            return None
        base = stream.time_base or TICK
        times = (ticks * base - zero for ticks in sorted(self.pts[self.is_shown].tolist()))
        return scan_of(tuple(times), self.end(stream) - zero, stream, zero)

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


def survey(packets: Iterable[VideoPacket]) -> tuple[Timeline, list[VideoPacket] | None]:
    """Read all packets; they too are given back, unless they are too many to hold."""
    pts, lengths, keys, shown = array("q"), array("q"), bytearray(), bytearray()
    held: list[VideoPacket] | None = []
    size, is_told, is_sound = 0, True, True
    for number, packet in enumerate(packets):
        is_key, is_shown = packet.is_keyframe, not packet.is_discard
        if packet.pts is None:
            is_told = is_told and not is_shown
            is_sound = False
        pts.append(packet.pts or 0)
        lengths.append(max(0, packet.duration or 0))
        keys.append(is_key)
        shown.append(is_shown)
        if packet.is_corrupt or (is_key and number and packet.has_sidedata("new_extradata")):
            is_sound = False
        if held is not None:
            size += packet.size
            held.append(packet)
            if size > HOLD_BYTES:
                held = None
    of_shown = _ticks(pts)[_flags(shown)]
    is_told = is_told and 0 < len(of_shown) == len(np.unique(of_shown))
    return Timeline(_ticks(pts), _ticks(lengths), _flags(keys), _flags(shown), is_told, is_sound), held


def _ticks(packed: array[int]) -> IntArray:
    return np.frombuffer(packed, np.int64)


def _flags(packed: bytearray) -> NDArray[np.bool_]:
    return np.frombuffer(packed, np.bool_)
