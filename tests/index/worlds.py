"""A store that is filled, changed and emptied at random, and beside it what a search of it must answer.

Vectors are small multiples of 1/8: inner products are exact in any order of adding up, and often equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Kind, Look, Place, Sampling, Segment, Source
from core.writer import KindRows, Writer, compact

DIM = 8
SPEC = EncoderSpec("toy:rgb", DIM, Look(32))

Rows = tuple[list[Segment], Float32Array]
Answer = list[tuple[float, str, float, float]]  # score, source, start, end


def make(root: Path) -> Store:
    probes = np.eye(4, DIM, dtype=np.float32)
    return Store.create(root, SPEC, Sampling(), probes)


def source_id(number: int, kind: Kind = "frame") -> str:
    return f"{'t' if kind == 'text' else 'v'}-{number:032x}"


@dataclass
class World:
    """The store and the truth."""

    store: Store
    chance: np.random.Generator
    exact: bool = True  # False: vectors of any numbers
    held: dict[str, dict[Kind, Rows]] = field(default_factory=dict)  # by source
    hidden: set[str] = field(default_factory=set)
    added: int = 0

    def vectors(self, count: int) -> Float32Array:
        if self.exact:
            return (self.chance.integers(-3, 4, (count, DIM)) / 8).astype(np.float32)
        return self.chance.standard_normal((count, DIM)).astype(np.float16).astype(np.float32)

    def add(self, count: int = 1, kind: Kind = "frame") -> None:
        """Some new sources in one commit."""
        writer = Writer(self.store)
        for _ in range(count):
            self.added += 1
            self._embed(writer, source_id(self.added, kind), again=False)
        writer.commit()

    def replace(self, source: str) -> None:
        """Embed a source again, with other vectors."""
        writer = Writer(self.store)
        self._embed(writer, source, again=True)
        writer.commit()

    def _embed(self, writer: Writer, source: str, again: bool) -> None:
        rows = self._texts(source) if source.startswith("t-") else self._pictures(source)
        self.held[source] = {kind: held for kind, held in rows.items() if held[0]}
        task = Task(Place("films", source.encode() + b".mp4", "1"), self.store.log.last().number)
        writer.add(task, Source(source), given(rows), Facts(size=len(source), codec="h264"), again=again)

    def _pictures(self, source: str) -> dict[Kind, Rows]:
        count = int(self.chance.integers(1, 6))
        frames = [Segment(source, float(i), float(i + 1)) for i in range(count)]
        clips = [Segment(source, float(i), float(min(i + 4, count))) for i in range(0, count, 2)]
        return {"frame": (frames, self.vectors(count)), "clip": (clips, self.vectors(len(clips)))}

    def _texts(self, source: str) -> dict[Kind, Rows]:
        return {"text": ([Segment(source, text=f"the text of {source}")], self.vectors(1))}

    def remove(self, source: str) -> None:
        self._say(source, hide=True)
        self.hidden.add(source)

    def restore(self, source: str) -> None:
        self._say(source, hide=False)
        self.hidden.discard(source)

    def _say(self, source: str, hide: bool) -> None:
        writer = Writer(self.store)
        (writer.removed if hide else writer.restored)(source, self.store.log.last().number)
        writer.commit()

    def compact(self) -> None:
        """Into one shard; the rows of what is removed are given up."""
        compact(self.store, sorted(self.store.log.last().shards()))
        self.held = {source: rows for source, rows in self.held.items() if source not in self.hidden}
        self.hidden = set()

    def step(self) -> None:
        """Something that people do."""
        live, hidden = sorted(set(self.held) - self.hidden), sorted(self.hidden)
        match self.chance.integers(0, 8):
            case 0 | 1 | 2:
                self.add(int(self.chance.integers(1, 5)))
            case 3:
                self.add(2, "text")
            case 4 if live:
                self.replace(str(self.chance.choice(live)))
            case 5 if live:
                self.remove(str(self.chance.choice(live)))
            case 6 if hidden:
                self.restore(str(self.chance.choice(hidden)))
            case 7 if live:
                self.compact()

    def rows(self, kind: Kind) -> Rows:
        """All live rows, by source and time."""
        live = sorted(set(self.held) - self.hidden)
        found = [self.held[source][kind] for source in live if kind in self.held[source]]
        vectors = [np.empty((0, DIM), np.float32), *(vectors for _, vectors in found)]
        return [segment for segments, _ in found for segment in segments], np.concatenate(vectors)

    def best(self, kind: Kind, query: Float32Array, k: int, without: frozenset[str] = frozenset()) -> Answer:
        """What a search must answer: every row scored, equal ones by source and time."""
        segments, vectors = self.rows(kind)
        scores = (vectors @ query).tolist()
        scored = [
            (score, s.source, s.start, s.end)
            for score, s in zip(scores, segments, strict=True)
            if s.source not in without
        ]
        return sorted(scored, key=lambda row: (-row[0], *row[1:]))[:k]


def given(rows: dict[Kind, Rows]) -> KindRows:
    return dict(rows)


def world(root: Path, seed: int = 0, exact: bool = True) -> World:
    return World(make(root), np.random.default_rng(seed), exact)


def lived_in(root: Path, seed: int = 0, steps: int = 20) -> World:
    """A store after some time."""
    found = world(root, seed)
    found.add(3)
    found.add(2, "text")
    for _ in range(steps):
        found.step()
    return found
