"""A video file as pictures at exact times."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import VideoError
from core.types import Facts, Line, Look, Sampling, Thumbs
from extractor.media import sniff
from extractor.media.clock import TICK, Clock, Shown, Times, time_zero
from extractor.media.grid import exact
from extractor.media.hardware import CPU, is_by_gpu
from extractor.media.opening import choose_stream, open_container
from extractor.media.packets import Ahead, Losses, VideoPacket, decode, look_ahead, read, taken
from extractor.media.plan import Plan, UnmetError, plan
from extractor.media.points import Choice, needs_scan
from extractor.media.runs import Runs, require_grid
from extractor.media.scan import begin_of, of_pictures
from extractor.media.shot_watch import Watch
from extractor.media.subtitles import Tracks
from extractor.media.timeline import survey
from extractor.still import Still
from extractor.work import WAYS, Way

if TYPE_CHECKING:
    from extractor.media.picture import Lens, Pixels
    from extractor.media.thumbs import Strip

log = logging.getLogger(__name__)

_AVI = "avi"
_ANIMATIONS = ("gif", "apng")
# What a tag must look like to be kept: anybody may write anything into one.
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)?")
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown from `t` until `end`, as an encoder sees it: uint8 [size, size, 3], or a run of such."""

    t: float
    end: float
    pixels: Pixels
    shot: float = 0.0  # when its shot begins, where shots are looked for


@dataclass(frozen=True, slots=True)
class _Opened:
    container: InputContainer
    stream: VideoStream
    tracks: Tracks
    ahead: Ahead
    rest: Iterator[VideoPacket]


@dataclass(frozen=True, slots=True)
class Anew:
    """The pictures before this one are void: they come again, from the first on."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """How the pictures of one run are come by."""

    stream: VideoStream
    tracks: Tracks
    choice: Choice
    packets: Iterator[VideoPacket]
    plan: Plan | None = None


MakeTimes = Callable[[VideoStream, Fraction, Losses], Times]


class Reader:
    """Opens a plain local file or raises a VideoError; its `why` tells a picture or a song from a failure."""

    def __init__(
        self,
        path: Path | str,
        *,
        shots: bool = False,
        thumbs: bool = False,
        beat: Callable[[], None] = lambda: None,
        times: MakeTimes = Clock,
        decoder: str = "cpu",
    ) -> None:
        """`shots`: find them whatever the points; `beat` is called for each packet, as a sign of life;
        `times` says when each picture is shown; `decoder`: cpu, cuda or cuda:1."""
        self.path = path if isinstance(path, Path) else Path(path)
        self._finds_shots, self._beat, self._times, self._decoder = shots, beat, times, decoder
        self.thumbs = Thumbs()  # where they are wanted, and as the lines once all pictures were read
        self.lines: tuple[Line, ...] = ()  # of the text tracks
        self._wants_thumbs = thumbs
        self.way: Way = "full"  # how the last pictures were come by
        self.name = sniff.shown_name(self.path)
        self._found: dict[str, Any] = {}  # facts that the pictures showed
        self._losses = Losses()
        self._opened: _Opened | None = None

    def __enter__(self) -> Reader:
        with ExitStack() as stack:  # __exit__ is not called where this fails
            stack.callback(self._close)
            self._opened = opened = self._open()
            self._zero = time_zero(opened.container, opened.stream, opened.ahead.first_pts)
            self._said = _facts(opened, self.path, self._zero)
            stack.pop_all()
        self._is_fresh = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def zero(self) -> Fraction:
        """FFmpeg's time of our time zero, in seconds."""
        return self._zero

    @property
    def facts(self) -> Facts:
        """As the container says; rotation, what was lost, left out or found, and the exact length once the
        pictures were read."""
        return replace(self._said, **self._found, lost_packets=self._losses.packets)

    @property
    def fell_back(self) -> bool:
        """Whether the CPU decoded, once there are pictures, what a GPU was to."""
        return self._decoder != CPU and self._opened is not None and not is_by_gpu(self._opened.stream)

    def pictures(self, sampling: Sampling, look: Look) -> Iterator[Picture]:
        """The pictures shown at the sampling's points, each once, of a decoding of everything. A second call
        opens the file again."""
        yield from self._run(sampling, look, "full")

    def planned(self, sampling: Sampling, look: Look) -> Iterator[Picture | Anew]:
        """The same pictures; no more is decoded than is needed for them, where that can be known."""
        has_damage = False
        for way in WAYS:
            if has_damage and way != "full":
                continue
            any_given = False
            try:
                for picture in self._run(sampling, look, way):
                    any_given = True
                    yield picture
                return
            except UnmetError as error:
                log.debug("another way path=%s not=%s why=%s", self.name, way, error)
                has_damage = error.is_damage
            if any_given:
                yield Anew()

    def _run(self, sampling: Sampling, look: Look, way: Way) -> Iterator[Picture]:
        from extractor.media.picture import Lens, stretch  # bring torch, which facts alone do not need
        from extractor.media.thumbs import Strip

        if look.run > 1:
            require_grid(sampling)
        with self._told():
            ready = self._ready(sampling, way if look.run == 1 else "full")  # every picture is of a run
        sar = ready.stream.sample_aspect_ratio
        lens, strip = Lens(look, sar), Strip(sampling.stride_seconds, stretch(sar))
        still = Still(sampling.skip_still)
        any_row = False
        try:
            with self._told():
                for picture in still.left_out(self._seen(ready, lens, strip, sampling)):
                    any_row = True
                    yield picture
            self.thumbs, self.lines = strip.thumbs(), ready.tracks.lines(self._zero)
        finally:
            self._found |= {
                "rotation": lens.rotation,
                "transfer": lens.transfer,
                "still_points": still.count,
            }
        if not any_row:
            raise VideoError(f"{self.name} has no picture that can be decoded ({self._lost()}).")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            raise VideoError(f"{self.name} cannot be read: {error.strerror}.") from error

    def _seen(self, ready: _Ready, lens: Lens, strip: Strip, sampling: Sampling) -> Iterator[Picture]:
        watch = Watch() if self._finds_shots or ready.choice.needs_shots else None

        def see(row: Shown[VideoFrame]) -> Pixels:
            return lens(row.frame, strip.wants(row.t) if self._wants_thumbs else None)

        if lens.run > 1:
            yield from self._runs(ready, watch, see, lens.run, sampling)
        else:
            for row in self._planned_rows(ready) if ready.plan else self._rows(ready, watch):
                yield Picture(float(row.t), float(row.end), see(row), float(row.shot))
        self._found["shots"] = tuple(map(float, watch.begins)) if watch else ()

    def _rows(self, ready: _Ready, watch: Watch | None) -> Iterator[Shown[VideoFrame]]:
        clock = self._clock(ready.stream)
        shown = self._shown(ready.packets, ready.stream, clock)
        yield from ready.choice(watch(shown) if watch else shown, lambda: clock.end)
        self._found["seconds"] = float(clock.end)

    def _runs(
        self,
        ready: _Ready,
        watch: Watch | None,
        see: Callable[[Shown[VideoFrame]], Pixels],
        run: int,
        sampling: Sampling,
    ) -> Iterator[Picture]:
        clock = self._clock(ready.stream)
        shown = self._shown(ready.packets, ready.stream, clock)
        runs = Runs(
            run, exact(sampling.fps), lambda t: begin_of((t,), ready.stream, self._zero), lambda: clock.end
        )
        for start, end, pixels, shot in runs(watch(shown) if watch else shown, see):
            yield Picture(float(start), float(end), pixels, float(shot))
        self._found["seconds"] = float(clock.end)

    def _planned_rows(self, ready: _Ready) -> Iterator[Shown[VideoFrame]]:
        assert ready.plan
        frames = ready.plan.decode(ready.packets, ready.stream)
        for row, frame in zip(ready.plan.rows, frames, strict=True):
            yield Shown(row.t, row.end, frame)
        self._found["seconds"] = float(ready.plan.end)

    def _shown(
        self, packets: Iterable[VideoPacket], stream: VideoStream, clock: Times
    ) -> Iterator[Shown[VideoFrame]]:
        return clock.shown(decode(packets, stream, self._losses))

    def _packets(self, opened: _Opened) -> Iterator[VideoPacket]:
        return self._beaten(chain(taken(opened.ahead.packets), opened.rest))

    def _clock(self, stream: VideoStream) -> Times:
        return self._times(stream, self._zero, self._losses)

    def _ready(self, sampling: Sampling, way: Way) -> _Ready:
        """Which pictures are points, and how they are come by; what must be known of the whole video for
        that is read first."""
        opened, self.way = self._at_start(), "full"
        is_ordered = _AVI in opened.container.format.name.split(",")  # and has no times of pictures
        may_plan = way != "full" and not is_ordered and not self._finds_shots and sampling.points != "shots"
        if not may_plan and not needs_scan(sampling):
            return _Ready(opened.stream, opened.tracks, Choice(sampling), self._packets(opened))
        if is_ordered:
            return self._scanned(sampling)
        packets, wants_scan = self._packets(opened), needs_scan(sampling)
        found = survey(packets, opened.stream, to_plan=not wants_scan)
        is_whole, scan = found.is_whole and not self._losses.packets, None
        if wants_scan and is_whole:
            scan = found.timeline.scan(opened.stream, self._zero, with_times=bool(sampling.preset))
        if wants_scan and scan is None:
            return self._scanned(sampling)
        choice, planned = Choice(sampling, scan), None
        if may_plan and is_whole and found.timeline.first == opened.ahead.first_pts:
            planned = plan(found.timeline, choice, opened.stream, self._zero, way)
        tracks = opened.tracks
        if found.held is not None:
            packets = chain(self._beaten(taken(found.held)), packets)
        else:
            opened = self._at_start()
            packets = self._packets(opened)
        if planned is None:
            return _Ready(opened.stream, opened.tracks, choice, packets)
        self.way = way
        return _Ready(opened.stream, tracks, choice, packets, planned)

    def _scanned(self, sampling: Sampling) -> _Ready:
        """After a decoding of everything, only for its times."""
        opened = self._at_start()
        clock = self._clock(opened.stream)
        pictures = self._shown(self._packets(opened), opened.stream, clock)
        scan = of_pictures(pictures, lambda: clock.end, opened.stream, self._zero)
        opened = self._at_start()
        return _Ready(opened.stream, opened.tracks, Choice(sampling, scan), self._packets(opened))

    def _beaten(self, packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
        for packet in packets:
            self._beat()
            yield packet

    def _open(self) -> _Opened:
        head = sniff.refuse(self.path)
        if sniff.is_encrypted(self.path, head):
            raise VideoError(f"{self.name} is encrypted.")
        with ExitStack() as stack:  # closes the container unless all went well
            container = stack.enter_context(open_container(self.path, head, self._decoder))
            opened = self._begun(container)
            stack.pop_all()
        return opened

    def _begun(self, container: InputContainer) -> _Opened:
        try:
            stream = choose_stream(container, self.path)
            tracks = Tracks(container)
            rest = read(container, stream, self._losses, tracks)
            ahead = look_ahead(rest)
        except av.error.FFmpegError as error:
            raise VideoError(f"{self.name} cannot be read: {error.strerror}.") from error
        if ahead.ended and container.format.name in _ANIMATIONS and ahead.shown == 1:
            raise sniff.Still(f"{self.name} is a picture ({container.format.name}), not a video.")
        if ahead.ended and not ahead.shown:
            raise VideoError(f"{self.name} has no pictures in it ({self._lost()}).")
        return _Opened(container, stream, tracks, ahead, rest)

    def _at_start(self) -> _Opened:
        if not self._is_fresh or self._opened is None:
            self._close()
            self._losses = Losses()
            self._opened = self._open()
        self._is_fresh = False
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None

    def _lost(self) -> str:
        lost = self._losses.packets
        return f"{lost} damaged packet{'' if lost == 1 else 's'}"


def _facts(opened: _Opened, path: Path, zero: Fraction) -> Facts:
    container, stream = opened.container, opened.stream
    codec = stream.codec_context
    tags = (container.metadata, *(each.metadata for each in container.streams))
    seconds = max(0.0, float(_end(opened) - zero))
    return Facts(
        size=os.stat(path).st_size,
        seconds=seconds,
        header_s=seconds,
        zero_s=float(zero),
        width=codec.width,
        height=codec.height,
        codec=codec.codec.canonical_name,
        container=container.format.name,
        frame_rate=str(stream.average_rate or ""),
        timecode=_tag(tags, "timecode", _TIMECODE),
        created=_tag(tags, "creation_time", _DATE),
    )


def _tag(tags: Iterable[Mapping[str, str]], name: str, like: re.Pattern[str]) -> str:
    return next((tag[name] for tag in tags if name in tag and like.fullmatch(tag[name])), "")


def _end(opened: _Opened) -> Fraction:
    """Where the headers say that the pictures end; they are often wrong."""
    container, stream = opened.container, opened.stream
    if stream.duration is not None:
        return ((stream.start_time or 0) + stream.duration) * (stream.time_base or TICK)
    if container.duration is not None:
        return ((container.start_time or 0) + container.duration) * TICK
    return Fraction(0)
