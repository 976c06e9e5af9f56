"""Decoding what is needed against decoding everything: the pictures are taken, and not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.costs import Cost, Way, cost_of, ratios, rounds
from core.types import Look, Sampling
from extractor.media import picture
from extractor.media.reader import Picture, Reader

FULL = "full"
SLACK, SLACK_MS = 1.02, 1.0  # what a plan may cost where it saves nothing
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


def excess_ms(path: Path, sampling: Sampling, most: int = 9) -> float:
    """How much more a file costs planned than `SLACK` times decoded whole: each the least of up to `most`
    tries in turn, since a try can only be too long; no more tries than needed to be within `SLACK_MS`."""
    least = {True: float("inf"), False: float("inf")}
    excess = float("inf")
    for number in range(most):
        for is_planned in (True, False) if number % 2 else (False, True):
            cost = decoded([path], sampling, is_planned=is_planned)
            least[is_planned] = min(least[is_planned], cost.cpu_s)
        excess = (least[True] - SLACK * least[False]) * 1e3
        if excess <= SLACK_MS and number:
            break
    return excess
