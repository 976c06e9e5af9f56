"""The pictures that are shown from a second on, with as little decoded before them as is safe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Generic, Literal, TypeVar

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from extractor.media import sniff
from extractor.media.clock import TICK, Clock, Shown
from extractor.media.opening import choose_stream, open_container
from extractor.media.packets import Beside, Losses, VideoPacket, decode, read
from extractor.media.reader import Reader

log = logging.getLogger(__name__)
B = TypeVar("B", bound=Beside)
_Pictures = Iterator[Shown[VideoFrame]]
_Way = Literal["sought", "skipped", "full"]
_WAYS: tuple[_Way, ...] = ("sought", "skipped", "full")  # each for where the one before it does not hold
_INDEXED = ("mov", "matroska")  # a seek goes where it should
_ORDERED = "avi"  # has no times of pictures: what they are follows from all before
_BEFORE_S = 2  # sound of a second may lie so far before its pictures
_JUMP_S = 1  # back in time, as where recordings were put one behind another
_HOLD_BYTES = 64 << 20  # of packets from one keyframe on


class WrongWayError(Exception):
    """This way would not give what a decoding of everything does."""


@dataclass(slots=True)
class Onward(Generic[B]):
    """A file that is open at a second."""

    stream: VideoStream
    beside: B  # took the packets of other streams that were met until now
    packets: Iterator[VideoPacket]  # those that no picture was asked of yet
    pictures: Iterator[Shown[VideoFrame]]  # the first one is shown then, or is the last there is


@contextmanager
def onward(
    path: Path, start: Fraction, beside: Callable[[InputContainer, Fraction], B]
) -> Iterator[Onward[B]]:
    """Open a file that the reader takes at a second of its time line; or a VideoError. `beside` is made of
    each container, and where its time line begins by its own times."""
    with Reader(path) as reader:
        zero = reader.zero
    for way in _WAYS:
        with open_container(path, sniff.refuse(path)) as container:
            stream = choose_stream(container, path)
            if not _may(way, container, start):
                continue
            at = _Start(container, stream, zero, start)
            try:
                found = at.onward(way, beside(container, zero))
            except WrongWayError as error:
                log.debug("another way path=%s not=%s why=%s", sniff.shown_name(path), way, error)
                continue
            yield found
            return


def _may(way: _Way, container: InputContainer, start: Fraction) -> bool:
    kinds = container.format.name.split(",")
    if way == "sought":
        return start > _BEFORE_S and kinds[0] in _INDEXED
    return way == "full" or _ORDERED not in kinds


@dataclass(frozen=True)
class _Start:
    container: InputContainer
    stream: VideoStream
    zero: Fraction
    start: Fraction

    @property
    def base(self) -> Fraction:
        return self.stream.time_base or TICK

    def onward(self, way: _Way, beside: B) -> Onward[B]:
        if way == "sought":
            ticks = (self.start - _BEFORE_S + self.zero) / self.base
            self.container.seek(int(ticks), stream=self.stream)
        losses = Losses()
        packets = read(self.container, self.stream, losses, beside)
        if way == "full":
            return self._of(packets, beside, self._shown(packets, losses))
        run, is_all = self._run(packets)
        if way == "sought" and (run[0].pts or 0) * self.base - self.zero > self.start:
            raise WrongWayError("it begins too late")
        is_all = is_all and way == "skipped"
        packets = chain(run, packets)
        checked = decode(packets, self.stream, losses)
        if not is_all:
            checked = self._checked(checked, run[0])
        pictures = Clock(self.stream, self.zero, losses).shown(checked)
        found = self._of(packets, beside, pictures)
        if losses.packets and not is_all:
            raise WrongWayError("a packet is damaged")
        return found

    def _of(
        self, packets: Iterator[VideoPacket], beside: B, pictures: Iterator[Shown[VideoFrame]]
    ) -> Onward[B]:
        return Onward(self.stream, beside, packets, self._from_start(pictures))

    def _shown(self, packets: Iterable[VideoPacket], losses: Losses) -> Iterator[Shown[VideoFrame]]:
        return Clock(self.stream, self.zero, losses).shown(decode(packets, self.stream, losses))

    def _run(self, packets: Iterator[VideoPacket]) -> tuple[list[VideoPacket], bool]:
        """The packets from the last keyframe on that is shown by then, and whether none was left out."""
        held: list[VideoPacket] = []
        size, latest, is_all = 0, None, True
        for number, packet in enumerate(packets):
            if packet.pts is None or packet.is_corrupt or (number and packet.has_sidedata("new_extradata")):
                raise WrongWayError("a packet has no time, is damaged or changes the coding")
            t = packet.pts * self.base - self.zero
            if latest is not None and t < latest - _JUMP_S:
                raise WrongWayError("times step back")
            latest = t if latest is None else max(latest, t)
            if not held and not packet.is_keyframe:
                raise WrongWayError("it does not begin with a keyframe")
            if packet.is_keyframe and t <= self.start and held:
                held, size, is_all = [], 0, False
            held.append(packet)
            size += packet.size
            if size > _HOLD_BYTES:
                raise WrongWayError("its keyframes are too far apart")
            is_behind = packet.dts is not None and packet.dts * self.base - self.zero > self.start
            if is_behind or (packet.is_keyframe and t > self.start):
                break
        if not held:
            raise WrongWayError("there is nothing")
        return held, is_all

    def _checked(self, frames: Iterable[VideoFrame], key: VideoPacket) -> Iterator[VideoFrame]:
        """From the keyframe on, if it is one: what comes before it refers to what was left out."""
        is_begun = False
        for frame in frames:
            if not is_begun:
                if frame.pts is None or frame.is_corrupt:
                    raise WrongWayError("a picture is damaged")
                if key.pts is not None and frame.pts < key.pts:
                    continue
                if not key.is_discard and not (frame.key_frame and frame.pts == key.pts):
                    raise WrongWayError("a keyframe is none")
                is_begun = True
            yield frame

    def _from_start(self, pictures: Iterator[Shown[VideoFrame]]) -> Iterator[Shown[VideoFrame]]:
        """Now it is decoded until the first picture that is given: what is wrong so far is known here."""
        held: Shown[VideoFrame] | None = None
        for picture in pictures:
            if picture.t > self.start + TICK:  # of which a float may fall short
                return chain([held] if held else [], [picture], pictures)
            held = picture
        return iter([held] if held else [])
