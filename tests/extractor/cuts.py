"""A cut compared with what the reader says of the same seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from core.types import Look, Sampling
from extractor.media.cut import Clip, cut
from extractor.media.reader import Picture, Reader

SIZE = 48
_GRID = Sampling(points="fps", fps=240, clip_seconds=1.0, stride_seconds=1.0)
SOONEST_S = 1 / 65


def pictures(path: Path, hdr: str = "none") -> list[Picture]:
    """All of them, squashed."""
    look = Look(SIZE, fit="squash").but({"hdr": hdr})
    with Reader(path) as reader:
        return [*reader.pictures(_GRID, look)]


@dataclass
class Compared:
    """How a cut differs from its video."""

    clip: Clip
    psnr: float  # the worst
    late_s: float  # the worst, of when a picture begins
    long_s: float  # than the seconds that were asked for


def compared(path: Path, start: float, end: float, to: Path, known: Sequence[Picture] = ()) -> Compared:
    """Cut it, and look at both; `known`: its pictures, if they were read before."""
    clip = cut(path, start, end, to)
    theirs, ours = [*(known or pictures(path))], pictures(to)
    theirs[0] = replace(theirs[0], t=0.0)  # also before it
    wanted = [each for each in theirs if each.end > start and each.t < end]
    worst, late = 99.0, 0.0
    for each in wanted:
        begin, behind = max(each.t, start), min(each.end, end)
        if behind - begin < SOONEST_S:
            continue
        middle = (begin + behind) / 2 - start
        found = next(own for own in reversed(ours) if own.t <= middle + 1e-6)
        worst = min(worst, psnr(each, found))
        late = max(late, abs(found.t - (begin - start)))
    stop = min(end, max(each.end for each in wanted))
    assert clip.seconds == pytest.approx(length(to), abs=1e-3)
    return Compared(clip, worst, late, length(to) - (stop - start))


def length(path: Path) -> float:
    """Until when its last picture is shown, as its packets say: what a player goes by."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        ends = [((packet.pts or 0) + (packet.duration or 0)) * packet.time_base for packet in packets]
    return float(max(ends))


def psnr(one: Picture, other: Picture) -> float:
    error = float(np.mean((one.pixels.astype(float) - other.pixels.astype(float)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def sound(path: Path) -> tuple[np.ndarray, float]:
    """Its samples at 48 kHz, mono, and when the first is heard."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = [*container.decode(stream)]
    first = (frames[0].pts or 0) * (frames[0].time_base or Fraction(1, 48_000))
    return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames]), float(first)
