"""Where shots begin, from small pictures in order: hard cuts, fades through black, dissolves.

A cut is a change far above the changes around it that does not change back, as a flash does. A dissolve is
a run of pictures that are mixes of the first and the last one, which motion never gives. What fades out to
black belongs to the shot before; the next one begins with the first picture that is not black.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 36
DELAY = 2  # pictures after one that must be known to tell whether it begins a shot

Small = NDArray[np.uint8]  # [HEIGHT, WIDTH, 3]
_Levels = NDArray[np.float32]

_LEAST_S = 0.25  # of a shot
_CUT = 5.0  # grey levels, on average, that a cut changes at least
_RATIO = 3.0  # times the changes around it
_PEAK = 1.5  # times the third greatest of the last ones: a flash has two
_PAST = 12  # changes that are remembered for that
_STAYS = 0.6  # of a cut's change that is still there two pictures later

_STEP_S = 0.08  # between the pictures that dissolves are looked for in
_STEPS = 26
_MIX = 12.0  # grey levels, root mean square, that a dissolve changes at least
_STRAY = 0.3  # of that: how far a picture within may be from any mix of both ends
_LEFT = 0.05  # of it that the last step still changed: it has ended
_ALIKE = 0.55  # correlation of two pictures of one scene, darker or brighter

_BLACK = 20.0  # the brightest part of a black picture
_DIM = 100.0  # and of one that may be on its way from there


@dataclass(frozen=True, slots=True)
class _Seen:
    t: float
    levels: _Levels
    change: float  # to the picture before
    is_black: bool


class Finder:
    """Takes the pictures of a video, and tells of each, DELAY later, whether a shot begins with it."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque(maxlen=2 * DELAY + 1)  # those around the one to be told of
        self._due = 0  # how many of them are still to be told of
        self._past: deque[float] = deque(maxlen=_PAST)
        self._mixes = _Mixes()
        self._begun: float | None = None  # when the shot at hand began
        self._was_black = False

    def push(self, t: float, small: Small) -> list[bool]:
        """What is known now, of a picture some time ago."""
        levels = small.astype(np.float32)
        change = _change(self._seen[-1].levels, levels) if self._seen else 0.0
        self._seen.append(_Seen(t, levels, change, _is_black(levels)))
        self._due += 1
        return [self._tell()] if self._due > DELAY else []

    def finish(self) -> list[bool]:
        """The rest, after the last picture."""
        return [self._tell() for _ in range(self._due)]

    def _tell(self) -> bool:
        at = len(self._seen) - self._due
        self._due -= 1
        picture = self._seen[at]
        begins = self._begins(at, picture)
        if begins:
            self._begun = picture.t
            self._past.clear()
            self._mixes.clear()
        else:
            self._past.append(picture.change)
        self._mixes.add(picture.t, picture.levels)
        self._was_black = picture.is_black
        return begins

    def _begins(self, at: int, picture: _Seen) -> bool:
        if self._begun is None:
            return True
        if picture.t - self._begun < _LEAST_S:
            return False
        if self._was_black and not picture.is_black:
            return True
        return self._is_cut(at, picture) or self._mixes.end_with(picture.t, picture.levels)

    def _is_cut(self, at: int, picture: _Seen) -> bool:
        seen = list(self._seen)
        before, after = seen[max(0, at - DELAY) : at], seen[at + 1 :]
        around = [*list(self._past)[-DELAY:], *(each.change for each in after)]
        if picture.change < max(_CUT, _RATIO * float(np.mean(around)) if around else 0.0):
            return False
        lesser = sorted((*self._past, *(each.change for each in after), 0.0, 0.0, 0.0))
        if picture.change < _PEAK * lesser[-3]:
            return False
        if any(_change(before[-1].levels, each.levels) < _STAYS * picture.change for each in after):
            return False
        least = max(_CUT, _RATIO * float(np.median(self._past)) if self._past else 0.0)
        return all(_change(one.levels, each.levels) > least for one in before for each in (picture, *after))


class _Mixes:
    """The last two seconds, thinned, of one shot."""

    def __init__(self) -> None:
        self._held: deque[tuple[float, _Levels]] = deque(maxlen=_STEPS)

    def clear(self) -> None:
        """Another shot begins."""
        self._held.clear()

    def add(self, t: float, levels: _Levels) -> None:
        """Take a picture, unless it comes too soon after the last."""
        if not self._held or t - self._held[-1][0] >= _STEP_S:
            self._held.append((t, levels))

    def end_with(self, t: float, levels: _Levels) -> bool:
        """Whether a dissolve has just ended with this picture."""
        if len(self._held) < 4 or t - self._held[-1][0] < _STEP_S or _is_dim(levels):
            return False
        return any(self._is_mixed(first, levels) for first in range(len(self._held) - 3))

    def _is_mixed(self, first: int, levels: _Levels) -> bool:
        start, others = self._held[first][1], [held for _, held in list(self._held)[first + 1 :]]
        way = levels - start
        far = _size(way)
        if far < _MIX or _share(levels - others[-1], way, far) > _LEFT or _is_dim(start):
            return False
        if _stray(others[len(others) // 2] - start, way, far)[1] > _STRAY:  # most are told by this one
            return False
        found = [_stray(other - start, way, far) for other in others]
        is_mix = all(stray <= _STRAY for _, stray in found)
        return (
            is_mix and sum(0.15 < share < 0.85 for share, _ in found) >= 2 and not _are_alike(start, levels)
        )


def _size(levels: _Levels) -> float:
    flat = levels.ravel()
    return float(np.sqrt(np.dot(flat, flat) / flat.size))


def _share(part: _Levels, way: _Levels, far: float) -> float:
    """How much of the way a part goes."""
    return float(np.dot(part.ravel(), way.ravel())) / (way.size * far**2)


def _stray(part: _Levels, way: _Levels, far: float) -> tuple[float, float]:
    """The same, and how far aside it leads, as a part of the way's length."""
    share = _share(part, way, far)
    return share, float(np.sqrt(max(0.0, (_size(part) / far) ** 2 - share**2)))


def _change(one: _Levels, other: _Levels) -> float:
    return float(np.abs(one - other).mean())


def _is_black(levels: _Levels) -> bool:
    return float(levels.max()) < _BLACK


def _is_dim(levels: _Levels) -> bool:
    return float(levels.max()) < _DIM


def _are_alike(one: _Levels, other: _Levels) -> bool:
    """Whether one is the other, lighter or darker; black is like everything."""
    a, b = one - one.mean(axis=(0, 1)), other - other.mean(axis=(0, 1))
    size = float(np.sqrt(np.mean(a * a) * np.mean(b * b)))
    return size < 1.0 or float(np.mean(a * b)) > _ALIKE * size
