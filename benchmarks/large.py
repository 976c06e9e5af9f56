"""Ten million rows, built and served under limits of memory: what fits, what is found, and how fast.

python benchmarks/large.py [--quick] [--rows N] [--work DIR] [--memory 8G] [--factory STRING] [--json FILE]

Rows, texts and queries by the law of benchmarks/rows.py. The build may take 12 GiB and what serves 8 GiB,
their share of the page cache counted, as a cgroup's limits where one can be made; else it is said that there
were none. Searches are single, by one thread, with the index warm and the exact rows pushed out of the cache.
With --work the store stays there and is not made again; one of another size, or half of one, is refused.
Quick: 100,000 rows.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import faiss
import numpy as np

from benchmarks.build import Watched
from benchmarks.figures import Bar, Figure, shown
from benchmarks.kept import is_kept, keep
from benchmarks.outputs import new_file
from benchmarks.rows import Law, count, fill, make
from core.log import Task
from core.store import Store
from core.types import Facts, Float32Array, Kind, Place, Segment, Source
from core.writer import KindRows, Writer
from index.build import build_snapshot
from index.cli import memory_bytes
from index.factory import chosen
from index.snapshot import Snapshot, numbers

BUILD_GIB, SERVE_GIB = 12.0, 8.0
BUILD_THREADS = 2
ROWS, QUICK_ROWS = 10_000_000, 100_000
TEXTS, QUERIES, WARM, K = 256, 200, 200, 10
GROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))  # of the first version, and of the second
LIMITS = ("memory.limit_in_bytes", "memory.max")

BARS = {
    "build_cpu_s": Bar("building", unit="CPU s"),
    "build_gib": Bar("memory of its own while it is built", BUILD_GIB, 8.0, "lower", "GiB"),
    "serve_gib": Bar("memory of its own while it is served", SERVE_GIB, 1.0, "lower", "GiB"),
    "recall_at_10": Bar("recall@10 of queries that no build has seen", 0.95, 0.95),
    "p50_ms": Bar("a search, median", None, 15.0, "lower", "ms"),
    "p99_ms": Bar("a search, 99th percentile", unit="ms"),
    "row_bytes": Bar("files of parts and trainings, for a row", unit="B"),
}

T = TypeVar("T")


@contextmanager
def limit(gib: float) -> Iterator[Path | None]:
    """A group of processes that get so much memory, the page cache counted; None where none can be made."""
    for root, name in zip(GROUPS, LIMITS, strict=True):
        group = root / f"cinedex-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(int(gib * 2**30)))
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


def within(gib: float, threads: int, act: Callable[..., T], *args: object) -> tuple[T, str]:
    """What a process of its own gives that has so much memory, and a word on the limit."""
    alone = get_context("spawn")
    with limit(gib) as group, alone.Pool(1, _join, (group, threads), maxtasksperchild=1) as pool:
        found = pool.apply(act, args)
        pool.close()
        pool.join()
    return found, f"of {gib:g} GiB" if group else "no limit could be set"


def _join(group: Path | None, threads: int) -> None:
    faiss.omp_set_num_threads(threads)
    if group:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def filled(root: Path, rows: int) -> None:
    """A store of so many frames, and of texts that lie apart from them."""
    made = {"benchmark": "large", "rows": rows}
    if _is_built(root, rows):
        keep(root, made)
    if is_kept(root, made):
        return
    law = Law()
    store = make(root, law)
    fill(store, law, rows)
    writer = Writer(store)
    for number, vector in enumerate(law.near(TEXTS)):
        source = f"t-{number:032x}"
        task = Task(Place("films", f"texts#{source}".encode(), source), store.log.last().number)
        held: KindRows = {"text": ([Segment(source, text=f"text {number}")], vector[None])}
        writer.add(task, Source(source, text=f"text {number}"), held, Facts())
    writer.commit()
    keep(root, made)


def _is_built(root: Path, rows: int) -> bool:
    """Whether a snapshot says that it is whole, as of a store from before this was written down beside it."""
    if not root.exists() or not numbers(root):
        return False
    return Snapshot.open(Store.open(root), numbers(root)[0]).rows == {"frame": rows, "text": TEXTS}


def build(root: Path, factory: str, memory: int) -> tuple[float, float]:
    """CPU seconds, and the most memory of its own."""
    factories: dict[Kind, str] = {"frame": factory}
    before = time.process_time()
    with Watched() as watched:
        build_snapshot(Store.open(root), publish=False, factories=factories, memory_bytes=memory)
    return time.process_time() - before, watched.peak_gib


def unseen() -> Float32Array:
    """Queries near other rows than the texts are."""
    return Law().near(WARM + QUERIES, TEXTS)


def truth(root: Path) -> Float32Array:
    """The scores of the ten best rows of each query, by comparing all."""
    hits = Snapshot.open(Store.open(root), 1).search("frame", unseen()[WARM:], K, exact=True)
    return np.stack([each.scores for each in hits])


def serve(root: Path, best: Float32Array) -> tuple[float, Float32Array, float]:
    """Recall, milliseconds of each search, and the most memory of its own."""
    queries = unseen()
    with Watched() as watched:
        _warm(root, queries[:WARM])
        _push_out(root / "shards")
        snapshot = Snapshot.open(Store.open(root), 1)
        took, good = [], []
        for query, scores in zip(queries[WARM:], best, strict=True):
            began = time.perf_counter()
            (hits,) = snapshot.search("frame", query[None], K)
            took.append(1000 * (time.perf_counter() - began))
            good.append(float((hits.scores >= scores[-1] - 1e-5).mean()))
    return float(np.mean(good)), np.array(took, np.float32), watched.peak_gib


def _warm(root: Path, queries: Float32Array) -> None:
    """Read what these take, and let go of it: what is mapped cannot be pushed out of the cache."""
    snapshot = Snapshot.open(Store.open(root), 1)
    for query in queries:
        snapshot.search("frame", query[None], K)


def _push_out(folder: Path) -> None:
    """Out of the page cache."""
    gc.collect()
    for path in folder.rglob("*.npy"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(root: Path, rows: int, factory: str, memory: int) -> Iterator[Figure]:
    """Every figure, as it comes."""
    filled(root, rows)
    store = Store.open(root)
    factory = factory or chosen(rows, store.spec.dim, memory, 0.95)
    if not numbers(root):
        (cpu_s, build_gib), note = within(BUILD_GIB, BUILD_THREADS, build, root, factory, memory)
        yield Figure("build_cpu_s", (cpu_s,), BARS["build_cpu_s"], factory)
        yield Figure("build_gib", (build_gib,), BARS["build_gib"], note)
    best, _ = within(BUILD_GIB, BUILD_THREADS, truth, root)
    (recall, took, serve_gib), note = within(SERVE_GIB, 1, serve, root, best)
    snapshot = Snapshot.open(store, 1)
    yield Figure("recall_at_10", (recall,), BARS["recall_at_10"], str(snapshot.effort("frame")))
    yield Figure("p50_ms", (float(np.median(took)),), BARS["p50_ms"])
    yield Figure("p99_ms", (float(np.percentile(took, 99)),), BARS["p99_ms"])
    yield Figure("serve_gib", (serve_gib,), BARS["serve_gib"], note)
    files = [path for name in ("parts", "trained") for path in (root / name).iterdir()]
    yield Figure("row_bytes", (sum(path.stat().st_size for path in files) / rows,), BARS["row_bytes"])


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--rows", type=count, default=ROWS, help="as 1M")
    parser.add_argument("--work", type=Path, help="where the store is made, and stays")
    parser.add_argument("--memory", type=memory_bytes, default="8G", help="for the build")
    parser.add_argument("--factory", default="", help="another index than the table says")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    rows = QUICK_ROWS if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as work:
        root = (asked.work or Path(work)) / "store"
        return shown(list(measured(root, rows, asked.factory, asked.memory)), asked.json)


if __name__ == "__main__":
    sys.exit(main())
