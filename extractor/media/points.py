"""Points in time that are no grid: which pictures they see, and until when each stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from core.types import IntArray, Sampling
from extractor.media.clock import F, Shown
from extractor.media.grid import End, exact, is_seen, rows
from extractor.media.presets import chosen_times
from extractor.media.scan import Scan

_NEARLY = 1e-6  # of a step: what floating point may get wrong, and far more
Falls = Callable[
    [Fraction | None, Fraction | None], bool
]  # whether a point lies in [from, until), None: open


def middles(count: int, length: Fraction) -> Falls:
    """The middles of so many equal parts of the video."""

    def falls(start: Fraction | None, until: Fraction | None) -> bool:
        doubled = 2 * count / length if length else Fraction(0)  # a middle is an odd number of half parts
        first = 0 if start is None else max(0, ceil((start * doubled - 1) / 2))
        return first < count and (until is None or 2 * first + 1 < until * doubled)

    return falls


def these(pictures: Iterable[Shown[F]], times: Sequence[Fraction], end: End) -> Iterator[Shown[F]]:
    """What is shown at these times, which are in order. One that is there several times stands each time for
    as large a part of the seconds that it is shown."""
    held: Shown[F] | None = None
    first = 0  # of the times that have no picture yet
    for picture in staying(pictures):
        if held is not None:
            behind = bisect_left(times, picture.t)
            yield from _parts(held, behind - first, picture.t)
            first = behind
        held = picture
    if held is not None:
        yield from _parts(held, len(times) - first, max(held.t, end()))


def _parts(picture: Shown[F], count: int, end: Fraction) -> Iterator[Shown[F]]:
    each = (end - picture.t) / max(count, 1)
    for number in range(count if each else min(count, 1)):
        yield replace(picture, t=picture.t + number * each)


def at_points(pictures: Iterable[Shown[F]], falls: Falls) -> Iterator[Shown[F]]:
    """What a player shows at each point, before the first picture that one; each once."""
    held: Shown[F] | None = None
    start: Fraction | None = None
    for picture in staying(pictures):
        if held is not None:
            if falls(start, picture.t):
                yield held
            start = picture.t
        held = picture
    if held is not None and falls(start, None):
        yield held


def keyframes(pictures: Iterable[Shown[F]]) -> Iterator[Shown[F]]:
    """Each that is shown; of a video without any its first picture."""
    first: Shown[F] | None = None
    has_any = False
    for picture in staying(pictures):
        first = None if has_any else first or picture
        if picture.is_key:
            has_any = True
            yield picture
    if first is not None and not has_any:
        yield first


def on_shots(pictures: Iterable[Shown[F]], fps: Fraction, end: End) -> Iterator[Shown[F]]:
    """The pictures that a grid sees, and the first one of each shot in which it sees none."""
    held: Shown[F] | None = None
    first: Shown[F] | None = None  # of the shot at hand, until the grid sees one of it
    has_any = False
    for picture in staying(pictures):
        if held is not None:
            if is_seen(held, picture.t, fps, has_any):
                has_any, first = True, None
                yield held
            if picture.shot != held.shot and first is not None:
                yield first
        if held is None or picture.shot != held.shot:
            first = picture
        held = picture
    if held is not None and (not has_any or is_seen(held, end(), fps, has_any)):
        yield held
    elif first is not None:
        yield first


def until_next(points: Iterable[Shown[F]], end: End, *, by_shot: bool = False) -> Iterator[Shown[F]]:
    """Each until the next one, or the end of its shot; the last one until the end."""
    held: Shown[F] | None = None
    for point in points:
        if held is not None:
            is_cut = by_shot and point.shot != held.shot
            yield held.until(point.shot if is_cut else point.t)
        held = point
    if held is not None:
        yield held.until(max(held.t, end()))


def beside(places: NDArray[np.float64]) -> IntArray:
    """Numbers of rising places that have a whole number between them and the next, or nearly so, with that
    next one; the first two and the last two too."""
    found = np.zeros(len(places), bool)
    crossed = np.floor(places[1:] + _NEARLY) >= np.ceil(places[:-1] - _NEARLY)
    found[:-1] |= crossed
    found[1:] |= crossed
    found[:2] = found[-2:] = True
    return np.flatnonzero(found)


def staying(pictures: Iterable[Shown[F]]) -> Iterator[Shown[F]]:
    """Of pictures at one time the last: the others are never seen."""
    held: Shown[F] | None = None
    for picture in pictures:
        if held is not None and picture.t > held.t:
            yield held
        held = picture
    if held is not None:
        yield held


def needs_scan(sampling: Sampling) -> bool:
    """Whether the points follow from the whole video."""
    return sampling.points == "uniform" or bool(sampling.preset)


class Choice:
    """Which pictures a sampling takes, each until the seconds end for which it stands."""

    def __init__(self, sampling: Sampling, scan: Scan | None = None) -> None:
        self._sampling, self._scan = sampling, scan

    @property
    def needs_shots(self) -> bool:
        return self._sampling.points == "shots"

    def __call__(self, pictures: Iterable[Shown[F]], end: End) -> Iterator[Shown[F]]:
        fps = exact(self._sampling.fps)
        if self._scan is not None:
            return until_next(self._scanned(pictures, self._scan, end), end)
        match self._sampling.points:
            case "keyframes":
                return until_next(keyframes(pictures), end)
            case "shots":
                return until_next(on_shots(pictures, fps, end), end, by_shot=True)
        return rows(pictures, fps, end)

    @property
    def takes_keyframes(self) -> bool:
        return self._sampling.points == "keyframes" and self._scan is None

    def near(self, seconds: NDArray[np.float64], is_key: NDArray[np.bool_]) -> IntArray:
        """Numbers of pictures, of all in order, on which the choice may depend: the others change nothing."""
        if self._sampling.preset:
            return np.arange(len(seconds))
        if self._scan is not None and self._scan.end > 0:
            return beside(seconds * float(self._sampling.count / self._scan.end) - 0.5)
        if self.takes_keyframes:
            return np.union1d(np.flatnonzero(is_key), 0)
        return beside(seconds * self._sampling.fps)

    def _scanned(self, pictures: Iterable[Shown[F]], scan: Scan, end: End) -> Iterator[Shown[F]]:
        if self._sampling.preset:
            return these(pictures, chosen_times(self._sampling.preset, scan), end)
        return at_points(pictures, middles(self._sampling.count, scan.end))
