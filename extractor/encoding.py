"""Pictures of many videos to rows: in batches across videos, by each video's windows.

Rows come to the host one batch late, so that a device never waits for what is done with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor

from core.types import IntArray, Kind, Line, Sampling, Segment
from core.writer import Float16Array, KindRows, halved
from extractor.ahead import Ended
from extractor.captions import MOST_TOKENS, Captions
from extractor.encoders.base import Around, Contextual, Encoder, frame_rows
from extractor.media.picture import Pixels
from extractor.media.reader import Picture
from extractor.windows import Row, Window, Windows
from extractor.work import Work

_MOST_FEATURES = 1_024  # that clips are made of at once, unless one window alone has more
_MOST_PICTURES = 4_096  # that gather, whatever was asked: of runs there are as many in few features
_BUFFERS = 2  # one is filled while a device may still read the other
_NONE = np.empty((0, 0), np.float16)
Feature = tuple[Tensor, ...]  # of a picture: for vectors, and last for captions, which may be the same


@dataclass(eq=False)
class Video:
    """One video in hand, and its rows so far."""

    work: Work
    source: str
    windows: Windows[Feature]
    waiting: int = 0  # pictures in the batch
    ended: Ended | None = None
    is_void: bool = False  # what of it is still in the batch is for nothing
    # For hours of pictures: as little as there is to be known of each row.
    spans: dict[Kind, list[tuple[float, float]]] = field(default_factory=lambda: {"frame": [], "clip": []})
    vectors: dict[Kind, list[Float16Array]] = field(default_factory=lambda: {"frame": [], "clip": []})
    captions: list[Line] = field(default_factory=list)

    @classmethod
    def begun(cls, work: Work, source: str, sampling: Sampling, around: Around | None = None) -> Video:
        return cls(work, source, Windows(sampling, around=around))

    def all_rows(self) -> KindRows:
        """As a writer takes them."""
        return {
            kind: ([Segment(self.source, *span) for span in spans], _whole(self.vectors[kind]))
            for kind, spans in self.spans.items()
            if spans
        }


def _whole(parts: Sequence[Float16Array]) -> Float16Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True)
class _Made:
    """Rows on their way to the host, in the order in which the videos want them, and videos that have no
    more to come."""

    vectors: Sequence[Tensor]
    event: torch.cuda.Event | None  # when they are there
    wanted: Sequence[tuple[Video, Kind, Sequence[Row]]]
    closed: Sequence[Video]

    def settled(self) -> Sequence[Video]:
        """Give the videos their rows; those that have all now."""
        if self.event is not None:
            self.event.synchronize()
        parts = [vectors.numpy() for vectors in self.vectors]
        vectors = halved(np.concatenate(parts)) if parts else _NONE
        first = 0
        for video, kind, rows in self.wanted:
            video.spans[kind] += ((row.start, row.end) for row in rows)
            video.vectors[kind].append(vectors[first : first + len(rows)])
            first += len(rows)
        return self.closed


def features_at_once(batch: int, run: int) -> int:
    """`--batch` counts features, which are of a picture each, or of a run of them, of which few are many."""
    return min(batch, max(1, _MOST_PICTURES // run))


class _Buffer:
    """Where the pictures of one batch, or the runs of them, gather: what the encoder takes, and the same
    memory to be filled."""

    def __init__(self, count: int, shape: Sequence[int], device: torch.device | None = None) -> None:
        self._device = device  # that they are brought to while this process goes on
        self._pictures = torch.empty((count, *shape), dtype=torch.uint8, pin_memory=device is not None)
        self.pixels: Pixels = self._pictures.numpy()
        self._read: torch.cuda.Event | None = None

    def taken(self, count: int) -> Tensor:
        """The first so many, each picture of a run by itself."""
        pictures = self._pictures[:count].flatten(0, -4)
        if self._device is None:
            return pictures
        there = pictures.to(self._device, non_blocking=True)
        self._read = _event(self._device)
        return there

    def wait(self) -> None:
        """Until nobody reads it any more."""
        if self._read is not None:
            self._read.synchronize()
            self._read = None


def _event(device: torch.device) -> torch.cuda.Event:
    """When the device has done all that it was told until now."""
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event


class Encoding:
    """What gathers pictures until they are worth a pass of the encoder."""

    def __init__(self, encoder: Encoder, batch: int, captions: Captions | None = None) -> None:
        self._captions, self._most = captions, MOST_TOKENS if captions else _MOST_FEATURES
        self.seconds, self.pictures = 0.0, 0  # since somebody last looked
        self._encoder, self._run = encoder, encoder.spec.look.run
        self._batch = features_at_once(batch, self._run)
        self._device: torch.device | None = None  # that pictures go to, if it has memory of its own
        self._buffers = [self._buffer()] * _BUFFERS
        self._gathered: list[tuple[Video, float, float, float]] = []
        self._closed: list[Video] = []
        self._late: _Made | None = None

    @property
    def is_full(self) -> bool:
        return len(self._gathered) >= self._batch

    def add(self, video: Video, picture: Picture) -> None:
        """Take a picture; there must be room for it."""
        if not self._gathered:
            self._buffers[0].wait()
        self._buffers[0].pixels[len(self._gathered)] = picture.pixels
        self._gathered.append((video, picture.t, picture.end, picture.shot))
        video.waiting += 1

    def close(self, video: Video) -> None:
        """A video has ended well: all that is left of it becomes rows with the next batch."""
        if not video.waiting:
            self._closed.append(video)

    def encode(self) -> Sequence[Video]:
        """Encode what has gathered; the videos that have all their rows by the batch before."""
        return self._went_on(with_pictures=True)

    def settle(self) -> Iterator[Video]:
        """The videos that are waiting for no more pictures; no device has anything to do meanwhile."""
        while self._late or self._closed:
            yield from self._went_on(with_pictures=False)

    @torch.inference_mode()
    def _went_on(self, *, with_pictures: bool) -> Sequence[Video]:
        started = time.monotonic()
        windows = [*self._pushed()] if with_pictures and self._gathered else []
        closed, self._closed = self._closed, []
        windows += [(video, window) for video in closed for window in video.windows.finish()]
        late, self._late = self._late, self._made(windows, closed) if closed or windows else None
        done = late.settled() if late else ()
        self.seconds += time.monotonic() - started
        return done

    def _pushed(self) -> Iterator[tuple[Video, Window[Feature]]]:
        gathered, self._gathered = self._gathered, []
        self.pictures += self._run * len(gathered)
        for (video, t, end, shot), feature in zip(gathered, self._features(len(gathered)), strict=True):
            if video.is_void:
                continue
            video.waiting -= 1
            for window in video.windows.push(t, end, feature, shot):
                yield video, window
            if video.ended and not video.waiting:
                self._closed.append(video)

    def _features(self, count: int) -> Sequence[Feature]:
        pictures = self._buffers[0].taken(count)
        found = self._captions.features(pictures) if self._captions else (self._encoder.features(pictures),)
        self._buffers.reverse()
        if found[0].is_cuda and not self._device:
            self._device = found[0].device
            self._buffers = [self._buffer() for _ in range(_BUFFERS)]
        return list(zip(*(each.unbind() for each in found), strict=True))

    def _buffer(self) -> _Buffer:
        return _Buffer(self._batch, self._encoder.spec.look.shape, self._device)

    def _made(self, windows: Sequence[tuple[Video, Window[Feature]]], closed: Sequence[Video]) -> _Made:
        """Few passes for all of them: what they make does not depend on what else is made."""
        wanted: list[tuple[Video, Kind, Sequence[Row]]] = []
        vectors: list[Tensor] = []
        this = _Pass()
        for video, window in windows:
            if self._captions and window.clips:
                tokens = [feature[-1] for feature in window.features]
                video.captions += self._captions.written(tokens, window.clips)
            if this.features and len(this.features) + len(window.features) > self._most:
                vectors += self._rows(this)
                wanted += this.wanted
                this = _Pass()
            this.add(video, window)
        if this.features:
            vectors += self._rows(this)
            wanted += this.wanted
        event = _event(self._device) if vectors and self._device else None
        return _Made(vectors, event, wanted, closed)

    def _rows(self, this: _Pass) -> Iterator[Tensor]:
        """In the order in which they are wanted."""
        features = torch.stack([feature[0] for feature in this.features])
        if this.entries:
            around = cast(Contextual, self._encoder)
            yield self._to_host(frame_rows(around, features, this.runs, this.entries))
        if this.index:
            yield self._to_host(self._encoder.clips(features, this.index))

    def _to_host(self, rows: Tensor) -> Tensor:
        # Without waiting only where an event tells when they are there.
        return rows.to("cpu", torch.float32, non_blocking=self._device is not None)


class _Pass:
    """What some windows want of the encoder."""

    def __init__(self) -> None:
        self.features: list[Feature] = []
        self.runs: list[IntArray] = []
        self.entries: list[IntArray] = []  # of what the runs give, for each frame row
        self.index: list[IntArray] = []  # of features, for each other row
        self._around: list[tuple[Video, Kind, Sequence[Row]]] = []
        self._others: list[tuple[Video, Kind, Sequence[Row]]] = []
        self._count = 0  # of what the runs give

    @property
    def wanted(self) -> list[tuple[Video, Kind, Sequence[Row]]]:
        """First the rows of entries, then those of features."""
        return self._around + self._others

    def add(self, video: Video, window: Window[Feature]) -> None:
        first = len(self.features)
        if window.frames and window.runs:
            self._around.append((video, "frame", window.frames))
            self.entries += [row.index + self._count for row in window.frames]
            self.runs += [run + first for run in window.runs]
            self._count += sum(map(len, window.runs))
        elif window.frames:
            self._others.append((video, "frame", window.frames))
            self.index += [row.index + first for row in window.frames]
        if window.clips:
            self._others.append((video, "clip", window.clips))
            self.index += [row.index + first for row in window.clips]
        self.features += window.features
