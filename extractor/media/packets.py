"""Packets of one stream, whatever is damaged between them, and the pictures that come out of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

MAX_READ_ERRORS = 100  # damage in the container, one after another without a packet between

VideoPacket: TypeAlias = "Packet[VideoStream]"  # quoted: subscriptable in its types only


class Beside(Protocol):
    """Takes the packets of other streams as they pass."""

    @property
    def streams(self) -> Sequence[Stream]: ...

    def take(self, packet: Packet[Any]) -> None: ...


@dataclass(slots=True)
class Losses:
    """What could not be read or decoded, counted."""

    packets: int = 0


@dataclass(slots=True)
class Ahead:
    """The first packets of a stream, held so that they are read once."""

    packets: list[VideoPacket] = field(default_factory=list)
    first_pts: int | None = None  # the earliest time of a picture that is shown
    ended: bool = False  # there are no more

    @property
    def shown(self) -> int:
        return sum(not packet.is_discard for packet in self.packets)


def read(
    container: InputContainer, stream: VideoStream, losses: Losses, beside: Beside
) -> Iterator[VideoPacket]:
    """Every packet of the pictures with data in it; what is beside them takes its own. What is damaged is
    counted and passed over."""
    failures = 0
    while failures < MAX_READ_ERRORS:
        try:
            for packet in container.demux(stream, *beside.streams):
                # An empty one is the end, and says it is the first stream's; or in AVI a picture stays.
                if not packet.size:
                    continue
                failures = 0
                if packet.stream_index == stream.index:
                    yield cast(VideoPacket, packet)
                else:
                    beside.take(packet)
            return
        except (av.error.MemoryError, OSError):  # not the file's fault
            raise
        except av.error.FFmpegError:
            failures += 1
            losses.packets += 1
        except IndexError:  # PyAV stumbles, at the end, over streams that appeared mid-file; ours is whole
            failures += 1


def look_ahead(packets: Iterator[VideoPacket], *, most_shown: int = 64, most: int = 4096) -> Ahead:
    """Read until no later picture can be shown before the earliest one found so far."""
    ahead = Ahead()
    shown = 0
    for packet in packets:
        ahead.packets.append(packet)
        if packet.is_discard:
            if len(ahead.packets) >= most:
                return ahead
            continue
        shown += 1
        if packet.pts is not None:
            ahead.first_pts = packet.pts if ahead.first_pts is None else min(packet.pts, ahead.first_pts)
        if shown >= most_shown or len(ahead.packets) >= most or (shown > 1 and _is_settled(packet, ahead)):
            return ahead
    ahead.ended = True
    return ahead


def taken(held: list[VideoPacket]) -> Iterator[VideoPacket]:
    """Each once, and let go then."""
    held.reverse()
    while held:
        yield held.pop()


def _is_settled(packet: VideoPacket, ahead: Ahead) -> bool:
    """Nothing is shown before it is decoded, and packets come in the order of decoding."""
    return packet.dts is not None and ahead.first_pts is not None and packet.dts >= ahead.first_pts


def decode(packets: Iterable[VideoPacket], stream: VideoStream, losses: Losses) -> Iterator[VideoFrame]:
    """Pictures in the order in which they are shown. Packets that an edit list takes away are decoded, since
    others need them; their pictures do not come out."""
    for packet in packets:
        try:
            yield from stream.codec_context.decode(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            losses.packets += 1
    yield from _drain(stream, losses)


def _drain(stream: VideoStream, losses: Losses) -> Iterator[VideoFrame]:
    """What the decoder still holds; damage there ends one picture, not the rest."""
    for _ in range(MAX_READ_ERRORS):
        try:
            yield from stream.codec_context.decode(None)
            return
        except av.error.EOFError:
            return
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            losses.packets += 1
