"""The pictures that are shown at some seconds, as an encoder sees them; for a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from core.errors import VideoError
from core.types import Look
from extractor.media.clock import Shown
from extractor.media.cut import Silence
from extractor.media.grid import exact
from extractor.media.onward import onward
from extractor.media.picture import Lens, Pixels
from extractor.media.sniff import shown_name

_FAR_S = 10  # apart: what lies between would be decoded in vain


def pictures_at(path: Path, times: Sequence[float], look: Look) -> Pixels:
    """uint8 [times, size, size, 3]; behind the end it is the last one. Times rise."""
    found: list[Pixels] = []
    for run in _runs([exact(t) for t in times]):
        with onward(path, run[0], lambda container, zero: Silence()) as film:
            lens = Lens(look, film.stream.sample_aspect_ratio)
            found += [lens(frame) for frame in _shown(path, film.pictures, run)]
    return np.stack(found)


def _runs(times: Sequence[Fraction]) -> Iterator[list[Fraction]]:
    run: list[Fraction] = []
    for t in times:
        if run and t - run[-1] > _FAR_S:
            yield run
            run = []
        run.append(t)
    if run:
        yield run


def _shown(
    path: Path, pictures: Iterator[Shown[VideoFrame]], times: Sequence[Fraction]
) -> Iterator[VideoFrame]:
    """What is shown at each: the picture begun last."""
    held = next(pictures, None)
    if held is None:
        raise VideoError(f"{shown_name(path)} has no picture that can be decoded.")
    following = next(pictures, None)
    for t in times:
        while following is not None and following.t <= t:
            held, following = following, next(pictures, None)
        yield held.frame
