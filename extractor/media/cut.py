"""Some seconds of a video as an MP4 that every browser plays, cut at exact times; or one picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import UsageError, VideoError
from core.types import Look
from extractor.media.canvas import Canvas
from extractor.media.clock import Shown
from extractor.media.grid import exact
from extractor.media.onward import Onward, onward
from extractor.media.picture import Lens, Whole, stretch
from extractor.media.sniff import shown_name
from extractor.media.sound import LAYOUT, RATE, Sound
from extractor.media.thumbs import jpeg, tile

_BASE = Fraction(1, 90_000)
_SOONEST_S = Fraction(1, 65)  # between two pictures: more than sixty a second nobody needs to see
_AT_ONCE_S = Fraction(1, 1000)  # of pictures that are nearer only the later one is shown
_MOST_RATE = Fraction(60)
_KEYFRAMES_S = 2  # apart, so that a player can jump
_QUICK = {"preset": "veryfast", "crf": "21", "x264-params": "log=-1:bframes=0"}
_THREADS = 2
_SOUND_BITS = 128_000


@dataclass(frozen=True, slots=True)
class Clip:
    """What a cut has become."""

    seconds: float
    width: int
    height: int
    has_sound: bool


@dataclass(slots=True)
class _Pictures:
    """Coded ones, and until when the last is shown."""

    packets: list[Packet[VideoStream]]
    end: Fraction


def cut(path: Path, start: float, end: float, to: Path, most_side: int = 1280) -> Clip:
    """Write [start, end) of a video; the first picture is the one shown at `start`. If it ends before, that
    is a UsageError; what cannot be decoded a VideoError."""
    begin, behind = exact(start), exact(end)
    with (
        onward(path, begin, lambda container, zero: Sound(container, zero, begin, behind)) as film,
        av.open(str(to), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        pictures = _until(film, begin, behind)
        first = next(pictures)
        canvas = Canvas(first.frame, film.stream.sample_aspect_ratio, most_side)
        video = _video(container, canvas, film.stream)
        coded = _coded(video, canvas, chain([first], pictures), begin)
        _hear(film)
        sound = _sound(container, film.beside, coded.end)
        packets: list[Packet[Any]] = [*coded.packets, *sound]
        for packet in sorted(packets, key=_time):
            container.mux(packet)
    return Clip(float(coded.end - begin), canvas.width, canvas.height, bool(sound))


def still(path: Path, t: float, look: Look) -> bytes:
    """The picture shown at a second, as small and as coloured as a stored thumbnail: a JPEG."""
    with onward(path, exact(t), lambda container, zero: Silence()) as film:
        found = next(film.pictures, None)
        if found is None:
            raise VideoError(f"{shown_name(path)} has no picture that can be decoded.")
        sar, made = film.stream.sample_aspect_ratio, list[bytes]()

        def take(whole: Whole) -> None:
            made.append(jpeg(tile(whole, stretch(sar))))

        Lens(look, sar)(found.frame, take)
    return made[0]


class Silence:
    """No other streams."""

    streams: tuple[AudioStream, ...] = ()

    def take(self, packet: Packet[AudioStream]) -> None:
        """There is none."""


def _until(film: Onward[Sound], start: Fraction, end: Fraction) -> Iterator[Shown[VideoFrame]]:
    """The pictures that are shown before the end, each until the next one is; the first from the start on, as
    a player has it where nothing is to be shown yet. What passes too quickly to be seen is left out."""
    held = next(film.pictures, None)
    if held is None:
        raise VideoError("The video has no picture that can be decoded.")
    picture = next(film.pictures, None)
    if picture is None and held.t < start and held.end <= start:
        raise UsageError(f"start: the video ends at {float(held.end):g} s.", "start")
    held = Shown(start, held.end, held.frame)
    behind = held.end
    while picture is not None and picture.t < end:
        following = next(film.pictures, None)
        behind = max(behind, picture.end)
        until = min(end, behind if following is None else following.t)
        if max(until - picture.t, picture.t - held.t) >= _SOONEST_S:
            if picture.t - held.t >= _AT_ONCE_S:
                yield held.until(picture.t)
                held = picture
            else:
                held = Shown(held.t, picture.end, picture.frame)
        picture = following
    last = end if picture is not None else min(end, behind)
    yield held.until(last if last > held.t else held.t + _SOONEST_S)


def _video(container: OutputContainer, canvas: Canvas, like: VideoStream) -> VideoStream:
    rate = min(Fraction(like.average_rate or like.guessed_rate or 25), _MOST_RATE)
    stream = container.add_stream("libx264", rate=rate, options=dict(_QUICK))
    stream.width, stream.height, stream.pix_fmt = canvas.width, canvas.height, "yuv420p"
    codec = stream.codec_context
    codec.time_base = stream.time_base = _BASE
    codec.gop_size = max(1, round(_KEYFRAMES_S * rate))
    codec.thread_count = _THREADS
    canvas.tag(codec)
    return stream


def _coded(
    stream: VideoStream, canvas: Canvas, pictures: Iterator[Shown[VideoFrame]], start: Fraction
) -> _Pictures:
    coded = _Pictures([], start)
    for picture in pictures:
        frame = canvas.paint(picture.frame)
        frame.pts, frame.time_base = round((picture.t - start) / _BASE), _BASE
        frame.duration = round((picture.end - start) / _BASE) - frame.pts
        coded.packets += stream.encode(frame)
        coded.end = picture.end
    coded.packets += stream.encode(None)
    last = max(coded.packets, key=_time)
    last.duration = round((coded.end - start) / last.time_base) - (last.pts or 0)  # else 1 / the mean rate
    return coded


def _hear(film: Onward[Sound]) -> None:
    """The sound of the last pictures may lie behind them."""
    base = film.stream.time_base or _BASE
    for packet in film.packets:
        if packet.pts is not None and film.beside.late(packet.pts * base):
            return


def _sound(container: OutputContainer, sound: Sound, end: Fraction) -> list[Packet[AudioStream]]:
    frames = sound.frames(end)
    if not frames:
        return []
    stream = container.add_stream("aac", rate=RATE, layout=LAYOUT)
    stream.bit_rate = _SOUND_BITS
    coded = [packet for frame in frames for packet in stream.encode(frame)]
    return [*coded, *stream.encode(None)]


def _time(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * packet.time_base
