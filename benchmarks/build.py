"""What building costs beside bare FAISS; what a few more rows cost after it; the memory it takes.

python benchmarks/build.py [--quick] [--spoken] [--rows N] [--factory STRING] [--memory 4G] [--json FILE]

Times are CPU seconds of one thread in one process, one after the other; publishing is part of a build.
Quick: 100,000 rows in place of a million.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import faiss
import numpy as np

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from benchmarks.rows import Law, count, fill, make
from core.errors import SnapshotError
from core.store import Store
from core.types import IntArray, Kind
from index import factory, train
from index.build import build_snapshot
from index.cli import memory_bytes
from index.factory import chosen
from index.part import stored
from index.plan import PART_ROWS
from index.rows import View
from index.snapshot import Snapshot

MORE, MEANT_ROWS = 10_000, 1_000_000
_STEP_ROWS = 16_384
_EVERY_S = 0.02

BARS = {
    "build_to_bare": Bar("building a snapshot ÷ bare train and add of the same rows", 1.2, 1.05, "lower"),
    "more_to_build": Bar("10,000 rows more ÷ the full build", 0.05, 0.02, "lower"),
    "memory_to_bound": Bar("memory while it is built ÷ --memory", 1.0, 0.8, "lower"),
    "build_cpu_s": Bar("building", unit="CPU s"),
    "bare_cpu_s": Bar("bare train and add", unit="CPU s"),
    "peak_gib": Bar("the most memory of its own at any time", unit="GiB"),
    "row_bytes": Bar("all files of parts and trainings, for a row", unit="B"),
}


def bare(root: Path, string: str, memory: int) -> float:
    """CPU seconds of training on the same sample and of adding the rows, which are in memory before."""
    store = Store.open(root)
    runs = list(View(store, store.log.last()).runs("frame"))
    index = factory.empty(string, store.spec.dim)
    sample = train.sample(store, "frame", runs, index, memory)
    pieces = [stored(store, name, "frame", _all(store, name)) for name in sorted({run.shard for run in runs})]

    def act() -> None:
        index.train(sample)
        for piece in pieces:
            for first in range(0, len(piece), _STEP_ROWS):
                index.add(piece[first : first + _STEP_ROWS])

    return _cpu_s(act)


def build(root: Path, factories: dict[Kind, str], memory: int) -> tuple[float, float]:
    """CPU seconds, and the most memory of its own in GiB, of a process that does nothing else."""
    store = Store.open(root)
    with Watched() as watched:
        seconds = _cpu_s(
            lambda: build_snapshot(store, factories=factories, memory_bytes=memory, part_rows=PART_ROWS)
        )
    return seconds, watched.peak_gib


class Watched:
    """The memory of this process that is no file's, looked at again and again."""

    def __init__(self) -> None:
        self.peak_gib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_EVERY_S):
            lines = Path("/proc/self/status").read_text().splitlines()
            kib = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            self.peak_gib = max(self.peak_gib, kib / 2**20)


def _all(store: Store, shard: str) -> IntArray:
    return np.arange(store.shard(shard).count("frame"))


def _cpu_s(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


def _one_thread() -> None:
    faiss.omp_set_num_threads(1)


def measured(root: Path, rows: int, string: str, memory: int, *, is_spoken: bool) -> dict[str, float]:
    """Every figure, each in a process of its own."""
    store = make(root, Law())
    fill(store, Law(), rows, is_spoken=is_spoken)
    string = string or chosen(rows, store.spec.dim, memory, 0.95)
    factories: dict[Kind, str] = {"frame": string}
    with get_context("spawn").Pool(1, _one_thread, maxtasksperchild=1) as pool:
        theirs = pool.apply(bare, (root, string, memory))
        ours, peak = pool.apply(build, (root, factories, memory))
        fill(store, Law(), MORE, rows, is_spoken=is_spoken)
        more, _ = pool.apply(build, (root, {}, memory))
    parts = Snapshot.open(Store.open(root), 2).parts
    files = [path for name in ("parts", "trained") for path in (root / name).iterdir()]
    return {
        "build_to_bare": ours / theirs,
        "more_to_build": more / ours,
        "memory_to_bound": peak * 2**30 / memory,
        "build_cpu_s": ours,
        "bare_cpu_s": theirs,
        "peak_gib": peak,
        "row_bytes": sum(path.stat().st_size for path in files) / sum(each.about.rows for each in parts),
    }


def _bar(name: str, rows: int) -> Bar:
    """What is allowed beside training is meant for a million rows; memory is for any."""
    bar = BARS[name]
    is_meant = rows >= MEANT_ROWS or name == "memory_to_bound"
    return bar if is_meant else replace(bar, least=None, goal=None)


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--spoken", action="store_true", help="with subtitles, which are indexed too")
    parser.add_argument("--rows", type=count, default=1_000_000, help="as 10M")
    parser.add_argument("--factory", default="", help="another index than the table says")
    parser.add_argument("--memory", type=memory_bytes, default="4G", help="for the build")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    _one_thread()
    rows = 100_000 if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as work:
        try:
            values = measured(Path(work) / "store", rows, asked.factory, asked.memory, is_spoken=asked.spoken)
        except SnapshotError as error:
            sys.exit(str(error))  # as of a factory that finds too little to be published
    found = [Figure(name, (value,), _bar(name, rows)) for name, value in values.items()]
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
