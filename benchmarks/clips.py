"""The real clips of a folder: every file in it that can be decoded, each content once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.errors import VideoError
from core.types import Look, Sampling
from extractor.content import samples_of
from extractor.media.reader import Reader

_LOOK = Look(size=32)


def clips_of(folder: Path) -> list[Path]:
    """Sorted by name."""
    seen: set[str] = set()
    found = []
    for path in sorted(_files(folder)):
        samples = samples_of(os.fsencode(path))
        if samples not in seen and _is_decodable(path):
            found.append(path)
        seen.add(samples)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names if not name.startswith("."))


def _is_decodable(path: Path) -> bool:
    try:
        with Reader(path) as reader:
            return next(iter(reader.pictures(Sampling(), _LOOK)), None) is not None
    except VideoError:
        return False


def length_s(path: Path) -> float:
    """What its header says."""
    with Reader(path) as reader:
        return reader.facts.seconds
