"""A store of made-up rows that lie as pictures and texts do, for the benchmarks of the index.

A row is unit(centre + 0.9 g), g ~ N(0, I/512), its centre one of 20,000 unit vectors of Zipf's weights; a
query is unit(row + 0.6 g + a fixed vector of length 0.5), as texts lie apart from pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Line, Look, Place, Sampling, Segment, Source
from core.writer import Writer

DIM = 512
CENTRES = 20_000
SOURCE_ROWS = 500
PROBES = 256  # as many as `extract` writes into a store
SPEC = EncoderSpec("toy:rgb", DIM, Look(32))

_STEP_SOURCES = 20
_LINE_S, _WORDS, _VOCABULARY = 4.0, 8, 20_000


@dataclass(frozen=True)
class Law:
    """Where rows and queries come from."""

    seed: int = 0

    def rows(self, count: int, first: int = 0) -> Iterator[Float32Array]:
        """So many rows in pieces of a few sources."""
        centres = self._centres()
        weights = 1 / np.arange(1, CENTRES + 1)
        weights /= weights.sum()
        for done in range(first, first + count, _STEP_SOURCES * SOURCE_ROWS):
            chance = np.random.default_rng([self.seed, 1, done])
            size = min(_STEP_SOURCES * SOURCE_ROWS, first + count - done)
            # Of the whole piece, however much of it is taken: else the first rows of more were other rows.
            drawn = chance.choice(CENTRES, _STEP_SOURCES * SOURCE_ROWS, p=weights)[:size]
            yield unit(centres[drawn] + 0.9 * _noise(chance, size))

    def queries(self, rows: Float32Array) -> Float32Array:
        """A query for each of some rows."""
        chance = np.random.default_rng([self.seed, 2])
        apart = unit(_noise(chance, 1)) / 2
        return unit(rows + 0.6 * _noise(chance, len(rows)) + apart)

    def near(self, count: int, skipped: int = 0) -> Float32Array:
        """Queries for the first rows of a store, after so many that are skipped; within its first piece."""
        return self.queries(next(self.rows(skipped + count)))[skipped:]

    def _centres(self) -> Float32Array:
        return unit(_noise(np.random.default_rng([self.seed, 0]), CENTRES))


def fill(store: Store, law: Law, count: int, first: int = 0, *, is_spoken: bool = False) -> None:
    """Sources of 500 frame rows each, a second each. Spoken: with a line of subtitles every four seconds."""
    writer = Writer(store)
    number = first // SOURCE_ROWS
    for rows in law.rows(count, first):
        for start in range(0, len(rows), SOURCE_ROWS):
            mine = rows[start : start + SOURCE_ROWS]
            source = f"v-{number:032x}"
            if is_spoken:
                writer.tell(source, "subtitles", _said(number, len(mine)))
            _add(writer, source, mine)
            number += 1
        if writer.due:
            writer.commit()
    writer.commit()


def count(text: str) -> int:
    """What "10M" means."""
    return int(text.rstrip("MK")) * {"M": 1_000_000, "K": 1_000}.get(text[-1:], 1)


def make(root: Path, law: Law) -> Store:
    """An empty store for them, with probes that lie as texts do. Who measures with `near` skips these."""
    return Store.create(root, SPEC, Sampling(), law.near(PROBES))


def unit(vectors: NDArray[np.floating[Any]]) -> Float32Array:
    """Of length 1."""
    found: Float32Array = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def _add(writer: Writer, source: str, vectors: Float32Array) -> None:
    segments = [Segment(source, float(i), float(i + 1)) for i in range(len(vectors))]
    task = Task(Place("films", f"{source}.mp4".encode(), "1"), writer.store.log.last().number)
    writer.add(task, Source(source), {"frame": (segments, vectors)}, Facts(size=len(vectors), codec="h264"))


def _said(number: int, seconds: int) -> tuple[Line, ...]:
    """Eight words a line, of 20,000 by Zipf's weights."""
    chance = np.random.default_rng([number, 3])
    count = int(seconds / _LINE_S)
    ranks = (_VOCABULARY ** chance.random((count, _WORDS))).astype(np.int64)
    texts = (" ".join(f"w{rank}" for rank in line) for line in ranks.tolist())
    return tuple(Line(_LINE_S * at, _LINE_S * (at + 1), text) for at, text in enumerate(texts))


def _noise(chance: np.random.Generator, count: int) -> Float32Array:
    return chance.standard_normal((count, DIM), np.float32) / np.float32(np.sqrt(DIM))
