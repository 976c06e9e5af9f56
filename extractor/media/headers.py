"""What packets say, beside pictures, of how all that follow are coded: of one passed over nobody hears it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from av.video.stream import VideoStream

from extractor.media.packets import VideoPacket

_HEAD_BYTES = 4096  # of a packet: its headers come first
_START = b"\0\0\1"
_H264_PICTURES, _H264_SETS = frozenset(range(1, 6)), (7, 8)
_HEVC_PICTURES, _HEVC_SETS = frozenset(range(32)), (32, 33, 34)
Headers = dict[int, bytes]  # by kind: all of that kind in one packet
Unit = tuple[int, bytes]  # a kind, and what is said


class HeaderWatch:
    """Looks at every packet. `are_repeated`: whatever changes on the way is said again by each keyframe, so
    that decoding may begin with any of them."""

    def __init__(self, stream: VideoStream) -> None:
        self._units = _units_of(stream)
        self._first: Headers | None = None  # of the first packet
        self._changed: set[int] = set()
        self._of_all_keys: set[int] | None = None
        self._elsewhere: set[int] = set()  # kinds that packets between keyframes have

    def look(self, packet: VideoPacket, *, is_key: bool) -> None:
        """Take note of its headers."""
        if self._units is None:
            return
        found: Headers = {}
        for kind, unit in self._units(bytes(memoryview(packet)[:_HEAD_BYTES])):
            found[kind] = found.get(kind, b"") + unit
        if self._first is None:
            self._first = found
        self._changed |= {kind for kind, header in found.items() if self._first.get(kind) != header}
        if not is_key:
            self._elsewhere |= found.keys()
        elif self._of_all_keys is None:
            self._of_all_keys = set(found)
        else:
            self._of_all_keys &= found.keys()

    @property
    def are_repeated(self) -> bool:
        return self._changed <= (self._of_all_keys or set()) - self._elsewhere


def _units_of(stream: VideoStream) -> Callable[[bytes], Iterable[Unit]] | None:
    """None where every keyframe says all by itself."""
    codec = stream.codec_context
    told = codec.extradata or b""
    is_boxed = not told.startswith((_START, b"\0" + _START)) and len(told) > 21
    match codec.codec.canonical_name:
        case "h264":
            split = partial(_boxed, length=(told[4] & 3) + 1) if is_boxed else _streamed
            return partial(_sets, split, lambda first: first & 31, _H264_PICTURES, _H264_SETS)
        case "hevc":
            split = partial(_boxed, length=(told[21] & 3) + 1) if is_boxed else _streamed
            return partial(_sets, split, lambda first: first >> 1 & 63, _HEVC_PICTURES, _HEVC_SETS)
        case "mpeg1video" | "mpeg2video":
            return partial(_sets, _streamed, lambda first: first, frozenset((0x00, 0xB8)), (0xB3, 0xB5))
        case "mpeg4":
            return partial(_sets, _streamed, lambda first: first, frozenset((0xB3, 0xB6)), range(0x20, 0x30))
    return None


def _sets(
    split: Callable[[bytes], Iterator[bytes]],
    kind_of: Callable[[int], int],
    pictures: frozenset[int],
    sets: Iterable[int],
    head: bytes,
) -> Iterator[Unit]:
    """What stands before the first part of a picture."""
    for unit in split(head):
        kind = kind_of(unit[0])
        if kind in pictures:
            return
        if kind in sets:
            yield kind, unit


def _streamed(head: bytes) -> Iterator[bytes]:
    """Units behind start codes; zeros before the next one belong to it."""
    begin = head.find(_START)
    while begin >= 0:
        end = head.find(_START, begin + 3)
        unit = head[begin + 3 : end if end >= 0 else len(head)].rstrip(b"\0")
        if unit:
            yield unit
        begin = end


def _boxed(head: bytes, length: int) -> Iterator[bytes]:
    """Units behind their lengths."""
    at = 0
    while at + length < len(head):
        size = int.from_bytes(head[at : at + length])
        at += length
        if size:
            yield head[at : at + size]
        at += size
