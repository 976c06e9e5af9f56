"""Runs of pictures at an even rate, as FFmpeg's filter `fps` makes them: what an encoder of motion sees.

The filter gives each picture the nearest number on a grid that begins where the file does, with its first
picture or sound; a picture is repeated up to the next one's number, and left out where that is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from core.errors import UsageError
from core.types import Sampling
from extractor.media.clock import F, Shown
from extractor.media.grid import End

if TYPE_CHECKING:
    from extractor.media.picture import Pixels  # brings torch

_LONGEST = 64  # runs of one picture alone, one behind another; the next one stands for all that follow
Begin = Callable[[Fraction], Fraction]  # where the grid does, by the time of the first picture
Filled = tuple[
    Fraction, Fraction, "Pixels", Fraction
]  # a run, from when until when, and where its shot begins


def require_grid(sampling: Sampling) -> None:
    """That points are those of a grid: a run ends where the next one begins."""
    if sampling.points != "fps" or sampling.preset:
        asked = f"preset {sampling.preset!r}" if sampling.preset else f"points {sampling.points!r}"
        raise UsageError(f"{asked} is for encoders of single pictures; this one takes points 'fps' alone.")


def repeated(
    pictures: Iterable[Shown[F]], rate: Fraction, begin: Begin, end: End
) -> Iterator[tuple[Shown[F], int]]:
    """Each picture that the filter writes, and how often; at least one."""
    held: Shown[F] | None = None
    start, count = Fraction(0), 0  # how many are written
    for picture in pictures:
        if held is None:
            start = begin(picture.t)
        elif (until := _nearest((picture.t - start) * rate)) > count:
            yield held, until - count
            count = until
        held = picture
    if held is not None and (until := max(_nearest((end() - start) * rate), not count)) > count:
        yield held, until - count


def _nearest(number: Fraction) -> int:
    """A half is rounded up, as FFmpeg does from 0 on."""
    return floor(number + Fraction(1, 2))


class Runs:
    """So many squares each, one run behind another; what the last one lacks is black. Each lasts until the
    next one, and the last until the end."""

    def __init__(self, run: int, fps: Fraction, begin: Begin, end: End) -> None:
        self._run, self._step, self._rate = run, 1 / fps, run * fps
        self._begin_at, self._end = begin, end
        self._start = Fraction(0)
        self._number = self._filled = 0  # of the run at hand, and how many squares it has
        self._alike = 1  # how many runs it stands for
        self._pixels: Pixels | None = None
        self._shot = Fraction(0)

    def __call__(self, pictures: Iterable[Shown[F]], see: Callable[[Shown[F]], Pixels]) -> Iterator[Filled]:
        """Each run; `see` is asked once for each picture that is in one."""
        for shown, count in repeated(pictures, self._rate, self._begun, self._end):
            yield from self._filled_with(see(shown), count, shown.shot)
        if self._filled:
            start, end, pixels, shot = self._done()
            yield start, max(start, min(end, self._end())), pixels, shot

    def _begun(self, first: Fraction) -> Fraction:
        self._start = self._begin_at(first)
        return self._start

    def _filled_with(self, square: Pixels, count: int, shot: Fraction) -> Iterator[Filled]:
        """The runs that this square goes on behind. One that it fills waits: it may be the last."""
        whole = 0  # runs of nothing else
        while count:
            if self._filled == self._run:
                yield self._done()
            if not self._filled:
                self._pixels, self._shot = np.zeros((self._run, *square.shape), np.uint8), shot
                whole += count >= self._run
                if whole > _LONGEST:
                    self._alike, whole = count // self._run, 0
                    count -= (self._alike - 1) * self._run
            assert self._pixels is not None
            taken = min(count, self._run - self._filled)
            self._pixels[self._filled : self._filled + taken] = square
            self._filled += taken
            count -= taken

    def _done(self) -> Filled:
        """The run at hand, until the grid's next point."""
        assert self._pixels is not None
        start, pixels = self._start + self._number * self._step, self._pixels
        self._number += self._alike
        self._filled, self._alike, self._pixels = 0, 1, None
        return start, self._start + self._number * self._step, pixels, self._shot
