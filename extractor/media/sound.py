"""The sound of some seconds of a video, placed by its own times."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from extractor.media.clock import TICK

log = logging.getLogger(__name__)
RATE = 48_000
LAYOUT = "stereo"
_EARLIER_S = Fraction(1, 2)  # decoders need some sound before the first that is right
_SLIP_S = Fraction(3, 100)  # by which times may differ from what was counted before they are followed
_LATER_S = 5  # that sound lies behind its pictures at most


class Sound:
    """Takes a container's sound as its packets pass; what lies in [start, end) is kept."""

    def __init__(self, container: InputContainer, zero: Fraction, start: Fraction, end: Fraction) -> None:
        stream = _best(container)
        self.streams: tuple[AudioStream, ...] = (stream,) if stream else ()
        self._zero, self._start, self._end = zero, start, end
        self._samples: NDArray[np.float32] | None = None  # [2, samples of all the seconds]
        self._next: int | None = None  # where the next sample belongs, if its time does not say otherwise
        self._resampler = AudioResampler("fltp", LAYOUT, RATE)
        self.is_done = not self.streams

    def take(self, packet: Packet[Any]) -> None:
        """Decode it, if it is of these seconds."""
        stream = self.streams[0]
        if self.is_done or packet.pts is None or not packet.size:
            return
        t = packet.pts * (stream.time_base or TICK) - self._zero
        if t >= self._end:
            self.is_done = True
        elif t >= self._start - _EARLIER_S:
            self._decode(stream, packet)

    def late(self, t: Fraction) -> bool:
        """Whether pictures are so far by now, by the container's times, that no sound is to come."""
        return self.is_done or t - self._zero > self._end + _LATER_S

    def frames(self, end: Fraction) -> list[AudioFrame]:
        """All of it until a second, silence where there was none; nothing where there was none at all."""
        if self._samples is None:
            return []
        found = self._samples[:, : round((end - self._start) * RATE)]
        return [_frame(found[:, first : first + 1024], first) for first in range(0, found.shape[1], 1024)]

    def _decode(self, stream: AudioStream, packet: Packet[Any]) -> None:
        try:
            for frame in stream.codec_context.decode(packet):
                for piece in self._resampler.resample(frame):
                    self._place(piece)
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, ValueError) as error:  # a layout that changed: what follows counts
            log.debug("sound is left out error=%s", error)
            self._resampler, self._next = AudioResampler("fltp", LAYOUT, RATE), None

    def _place(self, piece: AudioFrame) -> None:
        samples = piece.to_ndarray()
        if piece.pts is not None and piece.time_base:
            said = round((piece.pts * piece.time_base - self._zero - self._start) * RATE)
            if self._next is None or abs(said - self._next) > _SLIP_S * RATE:
                self._next = said
        first = self._next or 0
        self._next = first + samples.shape[1]
        if self._samples is None:
            self._samples = np.zeros((2, round((self._end - self._start) * RATE)), np.float32)
        room = self._samples[:, max(0, first) : max(0, self._next)]
        skip = max(0, -first)
        room[:] = samples[:, skip : skip + room.shape[1]]


def _best(container: InputContainer) -> AudioStream | None:
    """As FFmpeg chooses; what it cannot decode is no sound."""
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream) or getattr(stream, "codec_context", None) is None:
        return None
    return stream


def _frame(samples: NDArray[np.float32], first: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", LAYOUT)
    frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
    return frame
