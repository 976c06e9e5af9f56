"""Videos with text tracks: a film's packets into another container, and lines beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

MS = Fraction(1, 1000)
# What FFmpeg's writers of text tracks want to know of their looks, in ASS.
_HEADER = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \\
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, \\
MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
""".replace(b"\\\n", b"")


@dataclass(frozen=True, slots=True)
class Track:
    """A codec, and for each line its milliseconds and its text."""

    codec: str
    lines: Sequence[tuple[int, int, str]]
    language: str = ""


def write_subtitled(
    path: Path, film: Path, tracks: Iterable[Track], tags: dict[str, str] | None = None
) -> Path:
    """The film with these tracks, in the container that the path's suffix names."""
    with av.open(str(film)) as source, av.open(str(path), "w") as made:
        made.metadata.update(tags or {})
        kept = {stream.index: made.add_stream_from_template(stream) for stream in source.streams}
        texts = [(_added(made, track), track) for track in tracks]
        for stream, track in texts:
            for start, end, text in track.lines:
                made.mux_one(_packet(stream, track.codec, start, end, text))
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = kept[packet.stream_index]
                made.mux_one(packet)
    return path


def _added(made: OutputContainer, track: Track) -> Stream:
    stream = made.add_stream(track.codec)
    stream.time_base = MS
    if track.language:
        stream.metadata["language"] = track.language
    cast(SubtitleCodecContext, stream.codec_context).subtitle_header = _HEADER
    return stream


def _packet(stream: Stream, codec: str, start: int, end: int, text: str) -> Packet[Stream]:
    data = text.encode()
    if codec == "mov_text":
        data = len(data).to_bytes(2) + data
    elif codec == "ass":
        data = b"0,0,Default,,0,0,0,," + data
    packet = Packet(data)
    packet.stream, packet.time_base = stream, MS
    packet.pts = packet.dts = start
    packet.duration = end - start
    return packet
