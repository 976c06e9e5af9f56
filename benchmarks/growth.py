"""What a build, a few more rows and a search cost as a library grows, drawn.

python benchmarks/growth.py [--quick] [--most N] [--plots DIR]

A store of each size by the law of benchmarks/rows.py, the factory by the table, CPU seconds of one thread.
Quick: up to 100,000 rows in place of a million.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import faiss
import numpy as np

from benchmarks.outputs import new_folder
from benchmarks.plots import Axis, write_plot
from benchmarks.rows import PROBES, Law, count, fill, make
from index.build import build_snapshot
from index.snapshot import Snapshot

ROWS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
QUERIES, WARM, K = 200, 50, 10
MORE = 100  # a hundredth more rows


@dataclass(frozen=True, slots=True)
class Grown:
    """What it costs at one size: CPU seconds of builds, CPU milliseconds of a search."""

    factory: str
    build_s: float
    more_s: float
    search_ms: float
    slow_ms: float  # one in a hundred


def grown(root: Path, rows: int) -> Grown:
    """A store of so many rows, built, grown by a hundredth and searched."""
    law = Law()
    store = make(root, law)
    fill(store, law, rows)
    build_s = _cpu_s(lambda: build_snapshot(store, publish=False))
    fill(store, law, rows // MORE, rows)
    more_s = _cpu_s(lambda: build_snapshot(store, publish=False))
    snapshot = Snapshot.open(store, 2)
    queries = law.near(WARM + QUERIES, PROBES)
    took = [_cpu_s(partial(snapshot.search, "frame", query[None], K)) for query in queries][WARM:]
    median, slow = np.percentile(took, (50, 99)) * 1000
    return Grown(snapshot.held["factories"]["frame"], build_s, more_s, float(median), float(slow))


def _cpu_s(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


def draw(found: dict[int, Grown], folder: Path) -> None:
    """`build.svg` and `search.svg`."""
    across = Axis("rows of 512 numbers", is_log=True)
    builds = {
        "all rows": [(float(rows), each.build_s) for rows, each in found.items()],
        "a hundredth more": [(float(rows), each.more_s) for rows, each in found.items()],
    }
    searches = {
        "median": [(float(rows), each.search_ms) for rows, each in found.items()],
        "one in a hundred": [(float(rows), each.slow_ms) for rows, each in found.items()],
    }
    write_plot(folder / "build.svg", "Building", across, Axis("CPU seconds", is_log=True), builds)
    write_plot(folder / "search.svg", "A search", across, Axis("CPU milliseconds", is_log=True), searches)


def main() -> int:
    """Say what each size costs, and draw it where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 100,000 rows")
    parser.add_argument("--most", type=count, default=1_000_000, help="rows, as 10M")
    parser.add_argument("--plots", type=new_folder, help="folder to draw into")
    asked = parser.parse_args()
    faiss.omp_set_num_threads(1)
    found: dict[int, Grown] = {}
    for rows in ROWS:
        if rows > (100_000 if asked.quick else asked.most):
            break
        with tempfile.TemporaryDirectory() as work:
            each = found[rows] = grown(Path(work) / "store", rows)
        costs = f"build {each.build_s:.2f} s, more {each.more_s:.2f} s"
        searches = f"search {each.search_ms:.2f} ms, slow {each.slow_ms:.2f} ms"
        sys.stdout.write(f"{rows:9} rows, {each.factory}: {costs}, {searches}\n")
        sys.stdout.flush()
    if asked.plots:
        draw(found, asked.plots)
    return 0


if __name__ == "__main__":
    sys.exit(main())
