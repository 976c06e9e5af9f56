"""A video as a run of bounded windows of features, each clip whole in one of them.

Points come in order, one by one; what is held is never more than `limit` of them, whatever the length of the
video, and where frames are made of what is around them as many as two runs have besides. Which of them make a
clip is told by clips.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import numpy as np

from core.types import MAX_CLIP_POINTS, IntArray, Sampling
from extractor.around import Among, Ready, entries_of
from extractor.clips import Clip, Former, Point, former
from extractor.encoders.base import Around

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Row:
    """What one vector will stand for: seconds [start, end), made of these features of its window."""

    start: float
    end: float
    index: IntArray


@dataclass(frozen=True, slots=True)
class Window(Generic[F]):
    """Features, and the rows that can now be made of them by `encoder.clips(features, [row.index, …])`. Where
    there are runs, frames are made by `frame_rows(encoder, features, runs, [row.index, …])`: indices into
    what these give."""

    features: tuple[F, ...]
    frames: tuple[Row, ...]
    clips: tuple[Row, ...]
    runs: tuple[IntArray, ...] = ()


class Windows(Generic[F]):
    """The windows of one video: `push` each point, then `finish`; either gives what is ready."""

    def __init__(
        self, sampling: Sampling, limit: int = MAX_CLIP_POINTS, around: Around | None = None
    ) -> None:
        self._keeps_frames, self._limit = sampling.keep_frames, limit
        self._among: Among[F] | None = Among(around) if around and sampling.keep_frames else None
        self._former: Former[F] = former(sampling, limit, around.points if around else None)
        self._frames: list[Point[F]] = []  # that have no row yet
        self._clips: list[Clip[F]] = []  # that no window has had yet
        self._live: set[int] = set()  # numbers of all points in these, and of some that were let go
        self._count = 0

    def push(self, t: float, end: float, feature: F, shot: float = 0.0) -> list[Window[F]]:
        """Take the next point. Times must rise."""
        point = Point(self._count, t, end, feature, shot)
        self._count += 1
        self._clips += self._former.complete(point)
        is_in_clips = self._former.admits(point)
        windows: list[Window[F]] = []
        if len(self._live) >= self._limit:
            self._former.forget(is_in_clips)
            windows = self._ready()
        if is_in_clips:
            self._former.add(point)
            self._live.add(point.number)
        if self._keeps_frames:
            self._among.add(point) if self._among else self._frames.append(point)
            self._live.add(point.number)
        return windows + self._ready() if len(self._live) > self._limit else windows

    def finish(self) -> list[Window[F]]:
        """After the last point."""
        self._clips += self._former.finish()
        return self._ready(is_end=True)

    def _ready(self, *, is_end: bool = False) -> list[Window[F]]:
        """A window of all rows that are ready and just the features that they need, unless there are none."""
        clips, self._clips = self._clips, []
        frames = self._frames_ready(is_end)
        waiting = self._among.held if self._among else ()
        self._live = {held.number for held in chain(self._former.held, waiting)}
        if not clips and not frames.points:
            return []
        held = _union((frames.points, *frames.runs, *(clip.points for clip in clips)))
        places = {number: place for place, number in enumerate(held)}
        entries = entries_of(frames.runs)
        frame_rows = tuple(
            Row(point.t, point.end, entries[point.number])
            if entries
            else _row(Clip(point.t, point.end, (point,)), places)
            for point in frames.points
        )
        clip_rows = tuple(_row(clip, places) for clip in clips)
        runs = tuple(_places(run, places) for run in frames.runs)
        return [Window(tuple(point.feature for point in held.values()), frame_rows, clip_rows, runs)]

    def _frames_ready(self, is_end: bool) -> Ready[F]:
        if self._among:
            return self._among.ready(is_end=is_end)
        frames, self._frames = self._frames, []
        return Ready(tuple(frames))


def _union(parts: Iterable[Iterable[Point[F]]]) -> dict[int, Point[F]]:
    """Each point once, in order."""
    held = {point.number: point for point in chain.from_iterable(parts)}
    return dict(sorted(held.items()))


def _row(clip: Clip[F], places: dict[int, int]) -> Row:
    return Row(clip.start, clip.end, _places(clip.points, places))


def _places(points: Iterable[Point[F]], places: dict[int, int]) -> IntArray:
    return np.array([places[point.number] for point in points], dtype=np.int64)
