"""Embedded text tracks as timed lines, from the packets that pass by while the pictures are read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from core.lines import sorted_lines
from core.types import Line
from extractor.media.clock import TICK
from extractor.timed import LEAST_S, MOST_CHARACTERS, MOST_LINES, line_of

log = logging.getLogger(__name__)
_PLAIN = ("subrip", "webvtt", "text")  # a packet is the text
_MOST_BYTES = 16 * MOST_CHARACTERS  # of a packet: more is no line
_ASS_FIELDS = 8  # before the text
_UNKNOWN = "unknown"  # Matroska's own WebVTT has no number in FFmpeg; it is text as it is


@dataclass(frozen=True, slots=True)
class _Said:
    """A packet: ticks, and what is in it."""

    start: int
    duration: int
    data: bytes


@dataclass(slots=True)
class _Track:
    codec: str
    base: Fraction
    language: str
    said: list[_Said] = field(default_factory=list)


class Tracks:
    """The text tracks of one container. Pictures of text, as on discs, are left out."""

    def __init__(self, container: InputContainer) -> None:
        self.streams: tuple[SubtitleStream, ...] = ()
        self._tracks: dict[int, _Track] = {}
        self._room = MOST_LINES
        for stream in container.streams.subtitles:
            codec = _codec(container, stream)
            if not codec:
                log.debug("a subtitle track is no text stream=%d", stream.index)
                continue
            self.streams += (stream,)
            track = _Track(codec, stream.time_base or TICK, _language(stream))
            self._tracks[stream.index] = track

    def take(self, packet: Packet[Stream]) -> None:
        """Keep what it says, if it is a line of one of the tracks."""
        track = self._tracks.get(packet.stream_index)
        if track is None or packet.pts is None or not 0 < packet.size <= _MOST_BYTES or not self._room:
            return
        self._room -= 1
        track.said.append(_Said(packet.pts, packet.duration or 0, bytes(packet)))

    def lines(self, zero: Fraction) -> tuple[Line, ...]:
        """All lines, on the time line of the pictures. Two tracks that say the same are one."""
        return sorted_lines(line for track in self._tracks.values() for line in _lines(track, zero))


def _codec(container: InputContainer, stream: SubtitleStream) -> str:
    context = getattr(stream, "codec_context", None)
    if context is None:
        return _UNKNOWN if "matroska" in container.format.name else ""
    name = str(context.codec.canonical_name)
    return name if name in (*_PLAIN, "ass", "mov_text") else ""


def _language(stream: SubtitleStream) -> str:
    found = str(stream.metadata.get("language", ""))
    return "" if found == "und" or len(found) > 35 else found


def _lines(track: _Track, zero: Fraction) -> Iterator[Line]:
    # Packets that say nothing count: in mp4 one stands where no line is shown.
    ordered = sorted(track.said, key=lambda said: said.start)
    longest = round(LEAST_S / track.base)
    for said, following in pairwise([*ordered, None]):
        assert said is not None
        end = said.start + said.duration
        if said.duration <= 0:
            end = min(following.start, said.start + longest) if following else said.start + longest
        start_s, end_s = (float(ticks * track.base - zero) for ticks in (said.start, end))
        if line := line_of(start_s, end_s, _text(track.codec, said.data), track.language):
            yield line


def _text(codec: str, data: bytes) -> str:
    if codec == "mov_text":
        return _mov_text(data)
    if codec == _UNKNOWN:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return ""
        return text if all(c.isprintable() or c.isspace() for c in text) else ""
    text = data.decode(errors="replace")
    return _dialogue(text) if codec == "ass" else text


def _mov_text(data: bytes) -> str:
    """The text, of the length that stands before it; behind it are styles."""
    text = data[2 : 2 + int.from_bytes(data[:2])]
    is_utf16 = text.startswith((b"\xfe\xff", b"\xff\xfe"))
    return text.decode("utf-16" if is_utf16 else "utf-8", errors="replace")


def _dialogue(text: str) -> str:
    """The text of an event; nothing of one that draws shapes."""
    fields = text.split(",", _ASS_FIELDS)
    said = fields[-1] if len(fields) > _ASS_FIELDS else ""
    return "" if any(f"\\p{n}" in said for n in range(1, 10)) else said
