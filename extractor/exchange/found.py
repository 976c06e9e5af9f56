"""One source as a folder of another tool tells of it, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from core.errors import UsageError
from core.types import Facts, Float64Array, Kind, Place

Vectors = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors of one kind, and the seconds and text each stands for."""

    vectors: Vectors
    start: Float64Array
    end: Float64Array
    text: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Found:
    """All that a folder says of one source."""

    name: bytes  # its path, or what else the folder calls it
    where: str  # the file that says so, for people
    rows: Mapping[Kind, Rows]
    columns: Mapping[str, Any] = field(default_factory=dict)
    approximate: bool = False  # its times are reckoned from --fps
    source: str = ""  # its id, where the folder knows it
    places: tuple[Place, ...] = ()  # likewise
    facts: Facts = field(default_factory=Facts)


class Dataset(Protocol):
    """A folder that can be gone through more than once, always in the same order."""

    def __iter__(self) -> Iterator[Found]: ...


def at_rate(vectors: Vectors, fps: float | None, where: str) -> Rows:
    """Pictures without times, the first at 0 and so many a second."""
    if fps is None:
        raise UsageError(f"{where} holds no times; --fps says how many pictures of a second it holds.")
    points = np.arange(len(vectors) + 1, dtype=np.float64) / fps
    return Rows(vectors, points[:-1], points[1:])
