"""Videos as vectors: shots that drift, sampled once a second, also cut and at other speeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Kind, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index.build import build
from index.snapshot import Snapshot

FPS = 10  # of the films themselves
Reel = NDArray[np.float64]  # a unit vector each tenth of a second


def unit(vectors: Reel) -> Reel:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


@dataclass
class Studio:
    """Makes films, and a store of what an encoder would make of them."""

    root: Path
    dim: int = 32
    seed: int = 0
    kind: Kind = "frame"
    put_in: dict[str, tuple[Float32Array, float]] = field(default_factory=dict)  # by name
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.seed)
        self.cone = unit(self.chance.standard_normal(self.dim))

    def film(self, seconds: float, shot: float = 4.0, drift: float = 0.15) -> Reel:
        """Shots of about that length, whose pictures drift; all of it a little alike, as encoders have it."""
        reel = np.empty((round(seconds * FPS), self.dim))
        at = 0
        while at < len(reel):
            count = min(max(int(self.chance.exponential(shot) * FPS), 3), len(reel) - at)
            look = unit(0.9 * self.cone + unit(self.chance.standard_normal(self.dim)))
            steps = self.chance.standard_normal((count, self.dim)) * drift / np.sqrt(self.dim * FPS)
            reel[at : at + count] = unit(look + np.cumsum(steps, axis=0))
            at += count
        return reel

    def still(self, seconds: float) -> Reel:
        """One picture."""
        return self.film(seconds, shot=1e9, drift=0.0)

    def slides(self, seconds: float, looks: Sequence[Reel]) -> Reel:
        """Pictures that stand for a while each."""
        return np.concatenate([np.repeat(look[:1], round(seconds * FPS), axis=0) for look in looks])

    def put(
        self,
        name: str,
        reel: Reel,
        *,
        start: float = 0.0,
        speed: float = 1.0,
        noise: float = 0.05,
        **facts: Any,
    ) -> str:
        """A video of it, as coded by another coder each time; its id."""
        t = start + np.arange(0, (len(reel) / FPS - start) / speed) * speed
        shown = reel[np.minimum((t * FPS).round().astype(int), len(reel) - 1)]
        coded = unit(shown + noise * unit(self.chance.standard_normal(shown.shape)))
        self.put_in[name] = coded.astype(np.float32), 1.0
        self.facts[name] = facts
        return id_of(name)

    def built(self) -> Snapshot:
        """All of them in a store, with a snapshot."""
        store = Store.create(self.root, EncoderSpec("toy:rgb", self.dim, Look(32)), Sampling(), None)
        writer = Writer(store)
        for name, (vectors, step) in self.put_in.items():
            id = id_of(name)
            rows = [Segment(id, i * step, (i + 1) * step) for i in range(len(vectors))]
            facts = Facts(**({"size": 1, "seconds": len(vectors) * step} | self.facts[name]))
            task = Task(Place("films", f"{name}.mp4".encode(), name), 0)
            writer.add(task, Source(id), {self.kind: (rows, vectors)}, facts)
        writer.commit()
        build(store)
        return Snapshot.open(store)


def id_of(name: str) -> str:
    return f"v-{name.encode().hex():0>32}"
