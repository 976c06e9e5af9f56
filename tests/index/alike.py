"""Libraries of the same kind of videos in any size: topics, videos that have a look of their own, scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Kind, Look, Place, Sampling, Segment, Source
from core.writer import Writer

DIM = 64
TOPICS = 400
SCENES, SCENE_ROWS = 3, 8
ROWS = SCENES * SCENE_ROWS  # of a video
SPEC = EncoderSpec("toy:rgb", DIM, Look(32))


def unit(vectors: Float32Array) -> Float32Array:
    found: Float32Array = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return found


@dataclass
class Alike:
    """Texts and pictures lie apart: a picture of a topic has a score of 0.7 or so with its text, others 0."""

    store: Store
    chance: np.random.Generator
    topics: Float32Array
    aside: Float32Array  # where pictures lie and texts do not
    shown: int  # of the topics, those that videos are of
    videos: int = 0
    kind: Kind = "frame"

    def add(self, rows: int) -> None:
        """Some more videos in one commit."""
        writer = Writer(self.store)
        for _ in range(rows // ROWS):
            self.videos += 1
            id = f"v-{self.videos:032x}"
            task = Task(Place("films", f"{self.videos}.mp4".encode(), "1"), 0)
            segments = [Segment(id, float(t), float(t + 1)) for t in range(ROWS)]
            writer.add(task, Source(id), {self.kind: (segments, self._video())}, Facts(seconds=ROWS))
        writer.commit()

    def _video(self) -> Float32Array:
        topic = np.repeat(self.topics[self._shown(SCENES)], SCENE_ROWS, axis=0)
        look = self._noise(1)
        scene = np.repeat(self._noise(SCENES), SCENE_ROWS, axis=0)
        strength = self.chance.normal(1.0, 0.15, (ROWS, 1))
        return unit(
            strength * topic + 0.25 * self.aside + 0.45 * look + 0.4 * scene + 0.4 * self._noise(ROWS)
        )

    def _shown(self, count: int) -> list[int]:
        """Some topics are frequent, most are rare."""
        return [int(self.shown * chance**2) for chance in self.chance.random(count)]

    def _noise(self, count: int) -> Float32Array:
        drawn: Float32Array = self.chance.standard_normal((count, DIM)).astype(np.float32)
        return drawn / np.float32(DIM**0.5)


def library(root: Path, seed: int = 0, shown: int = 200, kind: Kind = "frame") -> Alike:
    """Without videos yet. A fourth of the probes are of topics that are shown."""
    chance = np.random.default_rng(seed)
    drawn = unit(chance.standard_normal((TOPICS + 1, DIM)).astype(np.float32))
    topics, aside = drawn[:TOPICS], drawn[TOPICS]
    nonsense = unit(chance.standard_normal((192, DIM)).astype(np.float32))
    probes = np.concatenate([topics[: shown : shown // 64][:64], nonsense])
    store = Store.create(root, SPEC, Sampling(), probes)
    return Alike(store, chance, topics, aside, shown, kind=kind)
