"""What finding copies costs, and whether it finds them: vectors of made-up films, some of them copies.

python benchmarks/dedupe.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index.build import build
from index.copies import find
from index.progress import Progress
from index.snapshot import Snapshot

BARS = {
    "cpu_seconds_a_million_rows": Bar("CPU seconds for a million rows", 200.0, 200.0, "lower", "s"),
    "peak_gigabytes": Bar("memory, mapped vectors included", 3.0, 3.0, "lower", "GB"),
    "found": Bar("share of the copies and excerpts that is found", 0.98, 0.98, "higher", ""),
    "wrong": Bar("pairs told that are none", 0.0, 0.0, "lower", ""),
}
DIM, SECONDS = 128, 300
LOOKS = 2_000
BATCH = 500


class Films:
    """Shots of one of many looks each, drifting, a vector a second."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(0)
        self._looks = _unit(self._chance.standard_normal((LOOKS, DIM)))
        self._common = _unit(self._chance.standard_normal(DIM))

    def film(self) -> NDArray[np.float64]:
        """One that has nothing to do with another."""
        is_cut = self._chance.random(SECONDS) < 0.15
        shot = np.cumsum(is_cut)
        looks = self._looks[self._chance.integers(0, LOOKS, shot[-1] + 1)]
        shots = self._common + 0.7 * (looks + _unit(self._chance.standard_normal(looks.shape)))
        walk = np.cumsum(self._chance.standard_normal((SECONDS, DIM)), axis=0) * 0.15 / np.sqrt(DIM)
        began = np.maximum.accumulate(np.where(is_cut, np.arange(SECONDS), 0))
        return _unit(shots[shot] + walk - walk[began])

    def coded(self, film: NDArray[np.float64]) -> Float32Array:
        """As another coder leaves it."""
        return _unit(film + 0.1 * _unit(self._chance.standard_normal(film.shape))).astype(np.float32)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def fill(store: Store, count: int) -> set[tuple[str, str]]:
    """So many films; every fiftieth is a copy of another one, and every hundredth a minute of one. Which."""
    films, planted = Films(), set[tuple[str, str]]()
    kept: dict[int, NDArray[np.float64]] = {}
    for first in range(0, count, BATCH):
        writer = Writer(store)
        for number in range(first, min(first + BATCH, count)):
            shown = films.film()
            if number % 50 == 29 or number % 100 == 78:
                kept[number] = shown
            if number % 50 == 49 or number % 100 == 98:
                shown = kept.pop(number - 20)[: SECONDS if number % 50 == 49 else 60]
                planted.add((_id(number - 20), _id(number)))
            rows = [Segment(_id(number), float(t), float(t + 1)) for t in range(len(shown))]
            facts = Facts(size=1, seconds=float(len(shown)))
            place = Place("films", f"{number}.mp4".encode(), "1")
            task = Task(place, store.log.last().number)
            writer.add(task, Source(_id(number)), {"frame": (rows, films.coded(shown))}, facts)
        writer.commit()
    return planted


def _id(number: int) -> str:
    return f"v-{number:032x}"


def measure(folder: Path, count: int) -> list[Figure]:
    """All figures."""
    store = Store.create(folder / "store", EncoderSpec("toy:rgb", DIM, Look(32)), Sampling(), None)
    planted = fill(store, count)
    build(store)
    snapshot = Snapshot.open(store)
    before, began = time.process_time(), time.monotonic()
    pairs = find(snapshot, "frame", min_seconds=10.0, least=None, progress=Progress()).pairs
    cpu = time.process_time() - before
    found = {(pair.first, pair.second) for pair in pairs}
    rows = snapshot.rows["frame"]
    sys.stdout.write(f"{count} films, {rows} rows: {time.monotonic() - began:.0f} s, {cpu:.0f} CPU seconds\n")
    values = {
        "cpu_seconds_a_million_rows": cpu / rows * 1e6,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "found": len(found & planted) / len(planted),
        "wrong": float(len(found - planted)),
    }
    return [Figure(name, (value,), BARS[name]) for name, value in values.items()]


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 films of 300 rows in place of 10,000")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = measure(Path(work), 1_000 if asked.quick else 10_000)
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
