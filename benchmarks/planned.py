"""Decoding what is needed against decoding everything: the pictures are taken, and not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np

from benchmarks.costs import Cost, Way, cost_of, ratios, rounds
from core.types import Look, Sampling
from extractor.media import picture
from extractor.media.reader import Picture, Reader

FULL, PLANNED = "full", "planned"
SLACK = 1.02  # what a plan may cost where it saves nothing
LEAST_PAIRS, MOST_PAIRS, TRIED_S = 5, 25, 0.5  # the less there is to decode, the more a single try is off
_LOOK = Look(size=32)
_NOTHING: picture.Pixels = np.empty((0, 0, 3), np.uint8)


class _Blind(picture.Lens):
    """Sees nothing: what is compared is decoding alone."""

    def __call__(self, *_: object) -> picture.Pixels:
        return _NOTHING


@contextmanager
def _unseen() -> Iterator[None]:
    with patch.object(picture, "Lens", _Blind):
        yield


def decoded(files: Sequence[Path], sampling: Sampling, *, is_planned: bool) -> Cost:
    """What it costs to come by the pictures of these files."""
    with _unseen():
        return cost_of(lambda: sum(_read(path, sampling, is_planned=is_planned) for path in files))


def _read(path: Path, sampling: Sampling, *, is_planned: bool) -> int:
    with Reader(path) as reader:
        found = reader.planned(sampling, _LOOK) if is_planned else reader.pictures(sampling, _LOOK)
        return sum(isinstance(each, Picture) for each in found)


def savings(
    files: Sequence[Path], samplings: Mapping[str, Sampling], count: int
) -> dict[str, tuple[float, ...]]:
    """How many times less each sampling costs than decoding everything, round by round."""
    ways: dict[str, Way] = {FULL: lambda: decoded(files, Sampling(), is_planned=False)}
    for name, sampling in samplings.items():
        ways[name] = lambda sampling=sampling: decoded(files, sampling, is_planned=True)  # type: ignore[misc]
    found = rounds(ways, count)
    return {name: ratios(found, FULL, name) for name in samplings}


def excess_ms(path: Path, sampling: Sampling) -> float:
    """How much more a file costs planned than `SLACK` times decoded whole: medians of pairs in turn, as many
    as its length gives, never fewer than `LEAST_PAIRS`."""
    ways: dict[str, Way] = {
        FULL: lambda: decoded([path], sampling, is_planned=False),
        PLANNED: lambda: decoded([path], sampling, is_planned=True),
    }
    [first] = rounds(ways, 1)
    found = rounds(ways, min(MOST_PAIRS, max(LEAST_PAIRS, int(TRIED_S / first[FULL].cpu_s))))
    full_s, planned_s = (median(each[name].cpu_s for each in found) for name in ways)
    return (planned_s - SLACK * full_s) * 1e3
