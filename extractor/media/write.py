"""Frames to a real file: of any codec FFmpeg has, at any times, turned, stretched, with sound that starts
when it likes. For sample videos and for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

if TYPE_CHECKING:
    from extractor.media.picture import Pixels

AUDIO_RATE = 48_000
_AUDIO_SAMPLES = 960  # a frame of sound: 20 ms
_TONE_HZ = 440

_CODECS: dict[
    str, tuple[str, dict[str, str]]
] = {  # short name: FFmpeg's encoder, and what makes it fast, quiet and the same each time
    "h264": ("libx264", {"preset": "veryfast", "x264-params": "threads=1:log=-1"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "pools=1:frame-threads=1:log-level=none"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "row-mt": "0"}),
    "av1": ("libsvtav1", {"preset": "8", "svtav1-params": "lp=1"}),
}
_AUDIO_CODECS = {".webm": "libopus", ".avi": "mp2", ".ts": "mp2", ".mpg": "mp2"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames become a file; its container follows from the file's suffix."""

    codec: str = "h264"
    fps: Fraction = Fraction(25)
    gop: int = 25
    bframes: int = 0
    crf: int = 20
    turn: int = 0  # degrees clockwise that a player turns the picture
    mirror: bool = False  # after turning, left for right
    sar: Fraction = Fraction(1)
    audio: tuple[Fraction, Fraction] | None = None  # seconds in which there is sound
    audio_codec: str = ""  # one that suits the container
    options: tuple[tuple[str, str], ...] = ()  # more for the encoder
    container: tuple[tuple[str, str], ...] = ()  # and for the container
    time_base: Fraction | None = field(
        default=None
    )  # of the pictures; one of 1/90000 s where times are given


def write_video(
    path: Path,
    frames: Iterable[Pixels],
    encoding: Encoding | None = None,
    times: Sequence[Fraction] | None = None,
) -> None:
    """Write uint8 [height, width, 3] frames, `times` (seconds) for each or `fps` of them a second."""
    how = encoding or Encoding()
    base = how.time_base or (Fraction(1, 90_000) if times else 1 / how.fps)
    with ordinary_turns(), av.open(str(path), "w", container_options=dict(how.container)) as container:
        video: VideoStream | None = None
        audio = _add_audio(container, how, path.suffix)
        for frame, t in zip(frames, times or (n / how.fps for n in count()), strict=False):
            if video is None:
                video = _add_video(container, how, base, frame)
                if audio is not None:
                    container.mux(list(_sound(audio, how)))
            container.mux(_coded(video, frame, t, base))
        if video is not None:
            container.mux(video.encode(None))


@contextmanager
def ordinary_turns() -> Iterator[None]:
    """What opens libsvtav1 as root becomes a thread that waits for nobody, as is all that it starts then."""
    known = hasattr(os, "sched_getscheduler")
    before = (os.sched_getscheduler(0), os.sched_getparam(0)) if known else None
    try:
        yield
    finally:
        if before is not None and os.sched_getscheduler(0) != before[0]:
            os.sched_setscheduler(0, *before)


def write_sound(path: Path, start: Fraction, end: Fraction) -> None:
    """A file with nothing but a tone."""
    how = Encoding(audio=(start, end))
    with av.open(str(path), "w") as container:
        audio = _add_audio(container, how, path.suffix)
        if audio is not None:
            container.mux(list(_sound(audio, how)))


def _add_video(container: OutputContainer, how: Encoding, base: Fraction, first: Pixels) -> VideoStream:
    name, fast = _CODECS.get(how.codec, (how.codec, {}))
    quality = {"crf": str(how.crf)} if how.codec in _CODECS else {}
    options = quality | fast | dict(how.options)
    stream = cast(VideoStream, container.add_stream(name, rate=how.fps, options=options))
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = base
    stream.time_base = base
    stream.gop_size = how.gop
    stream.max_b_frames = how.bframes
    stream.codec_context.thread_count = 1
    stream.codec_context.sample_aspect_ratio = how.sar
    stream.sample_aspect_ratio = how.sar
    if how.turn or how.mirror:
        stream.set_display_rotation(-how.turn, hflip=how.mirror)
    return stream


def _coded(stream: VideoStream, pixels: Pixels, t: Fraction, base: Fraction) -> list[Packet[VideoStream]]:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(
        format="yuv420p", threads=1
    )
    frame.time_base = base
    frame.pts = round(t / base)
    return stream.encode(frame)


def _add_audio(container: OutputContainer, how: Encoding, suffix: str) -> AudioStream | None:
    if how.audio is None:
        return None
    codec = how.audio_codec or _AUDIO_CODECS.get(suffix, "aac")
    return cast(AudioStream, container.add_stream(codec, rate=AUDIO_RATE, layout="mono"))


def _sound(stream: AudioStream, how: Encoding) -> Iterator[Packet[AudioStream]]:
    first, last = (round(second * AUDIO_RATE) for second in how.audio or ())
    for start in range(first, last, _AUDIO_SAMPLES):
        phase = np.arange(start, start + _AUDIO_SAMPLES) * (2 * np.pi * _TONE_HZ / AUDIO_RATE)
        samples = (np.sin(phase) * 8_000).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = AUDIO_RATE
        frame.time_base = Fraction(1, AUDIO_RATE)
        frame.pts = start
        yield from stream.encode(frame)
    yield from stream.encode(None)
