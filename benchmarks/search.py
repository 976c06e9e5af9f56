"""What a search of a snapshot costs, in one part and in twenty, beside a bare FAISS search of one index.

python benchmarks/search.py [--quick] [--grown] [--rows N] [--factory STRING] [--lists N] [--work DIR]
                            [--json FILE]

With --grown, in place of twenty parts of one size, those that twenty increments of a hundredth of the rows
leave. With --work the store stays there and is not made again; one that was made otherwise is refused.
Both have the same training, lists and candidates, and one thread; each query is asked of both in turn. Times
are CPU time, which other work on the machine lengthens little. Quick: 100,000 rows in place of a million.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.figures import Bar, Figure, exit_code, told, write_json
from benchmarks.kept import is_kept, keep
from benchmarks.outputs import new_file
from benchmarks.rows import PROBES, SOURCE_ROWS, Law, count, fill, make
from core.query import Condition, Effort, Filter, Where
from core.store import Store
from core.types import Float32Array, Kind
from index import faissfile, making, part
from index.build import build_snapshot
from index.faissfile import FAISS
from index.live import LivePart
from index.part import Part
from index.plan import Plan
from index.snapshot import Snapshot, numbers
from index.train import Training

K, PARTS, BATCH = 10, 20, 64
SINGLES, BATCHES = 400, 12
ALLOWED_MS, RATIO = 0.3, 1.10
MEANT_ROWS = 1_000_000

_SAID = {"p50": "median", "p99": "99th percentile"}
BARS = {
    f"{cut}_{many}_{which}": Bar(
        f"{cut.replace('_', ' ')}, {many}, {_SAID[which]}: (ours − 0.3 ms) ÷ bare", RATIO, 1.0, "lower"
    )
    for cut in ("one_part", "twenty_parts", "grown")
    for many in ("single", "batch")
    for which in _SAID
} | {
    "filter_first_ms": Bar("first use of a filter that keeps half ÷ the next", 10.0, 5.0, "lower", "ms more"),
    "parts": Bar("parts", unit=""),
    "increment_cpu_s": Bar("a build with a hundredth more rows, merging included", unit="CPU s"),
    "bare_single_ms": Bar("bare, single, median", unit="ms"),
    "recall_at_10": Bar("recall@10 at this effort"),
    "row_bytes": Bar("of an index file, for a row", unit="B"),
}


@dataclass(frozen=True)
class Bench:
    """One index, bare and as a snapshot of one part and of several."""

    one: Snapshot
    several: Snapshot
    bare: Any
    queries: Float32Array
    effort: Effort
    increments_s: tuple[float, ...]  # of CPU, where it has grown by and by just now

    def ask_bare(self, queries: Float32Array, k: int = K) -> object:
        """With the same re-scoring where codes are lossy."""
        held = self.one.parts[0]
        depth = k * self.effort.candidates if held.about.lossy else k
        params = FAISS.SearchParametersIVF(nprobe=self.effort.lists)
        scores, found = self.bare.search(queries, depth, params=params)
        if not held.about.lossy:
            return scores
        rows, which = np.unique(found, return_inverse=True)
        vectors = held.part.vectors(rows)[which.reshape(found.shape)]
        return np.sort(np.einsum("qd,qkd->qk", queries, vectors), axis=1)[:, -k:]


def bench(root: Path, rows: int, factory: str, lists: int, *, is_grown: bool) -> Bench:
    """Built in several parts, of which one is merged."""
    law = Law()
    increments_s: tuple[float, ...] = ()
    how = {"benchmark": "search", "rows": rows, "grown": is_grown, "factory": factory, "probes": PROBES}
    if not is_kept(root, how):
        factories: dict[Kind, str] = {"frame": factory} if factory else {}
        increments_s = (grow if is_grown else cut)(make(root, law), law, rows, factories)
        keep(root, how)
    store = Store.open(root)
    several = Snapshot.open(store, numbers(root)[-1])
    effort = several.effort("frame")
    effort = replace(effort, lists=lists) if lists else effort
    several = replace(several, held={**several.held, "effort": {"frame": asdict(effort)}})
    one, bare = merged(store, several)
    queries = law.near(max(SINGLES, BATCH * BATCHES), PROBES)
    return Bench(one, several, bare, queries, effort, increments_s)


def cut(store: Store, law: Law, rows: int, factories: dict[Kind, str]) -> tuple[float, ...]:
    """In twenty parts of one size, at once."""
    fill(store, law, rows)
    build_snapshot(store, publish=False, part_rows=-(-rows // PARTS), factories=factories)
    return ()


def grow(store: Store, law: Law, rows: int, factories: dict[Kind, str]) -> tuple[float, ...]:
    """Most rows at once and the rest by and by; CPU seconds of each build of these."""
    step = rows // 100
    first = rows - PARTS * step
    fill(store, law, first)
    build_snapshot(store, publish=False, factories=factories)
    took_s = []
    for done in range(first, rows, step):
        fill(store, law, step, done)
        before = time.process_time()
        build_snapshot(store, publish=False)
        took_s.append(time.process_time() - before)
    return tuple(took_s)


def merged(store: Store, several: Snapshot) -> tuple[Snapshot, Any]:
    """The snapshot as one part, and the index of that in memory."""
    plan = Plan("frame", (), "", Training.read(store, several.parts[0].about.trained))
    olds = [
        (each.about, part.runs_of(part.read(store.root / "parts", each.about.name))) for each in several.parts
    ]
    parts = store.root / "parts"
    about = making.merge(store, plan, olds)
    opened = Part.open(parts, about)
    bits = np.full(-(-about.rows // 8), 255, np.uint8)
    numbers = np.concatenate([each.numbers for each in several.parts])
    whole = LivePart(opened, numbers, bits, about.rows, about.rows)
    bare = faissfile.read(parts / f"{about.name}.faiss", is_mapped=False)
    return replace(several, parts=(whole,)), bare


def measured(found: Bench, name: str) -> Iterator[Figure]:
    """Every figure; the several parts go by that name."""
    yield _figure("parts", len(found.several.parts))
    if found.increments_s:
        yield Figure("increment_cpu_s", found.increments_s, BARS["increment_cpu_s"])
    for cut, snapshot in (("one_part", found.one), (name, found.several)):
        for many, size, times in (("single", 1, SINGLES), ("batch", BATCH, BATCHES)):
            blocks = [found.queries[i * size : (i + 1) * size] for i in range(times)]
            ours, bare = in_turn(partial(snapshot.search, "frame", k=K), found.ask_bare, blocks)
            for which, at in (("p50", 50), ("p99", 99)):
                mine, theirs = np.percentile(ours, at), np.percentile(bare, at)
                note = f"{mine:.2f} ms and {theirs:.2f} ms"
                yield _figure(f"{cut}_{many}_{which}", (mine - ALLOWED_MS) / theirs, note)
            if (cut, many) == ("one_part", "single"):
                yield _figure("bare_single_ms", float(np.median(bare)))
    yield _figure("filter_first_ms", _filter_first_ms(found.several, found.queries))
    yield _figure("recall_at_10", found.several.held["recall"]["frame"]["10"])
    stamp = found.one.parts[0].about.files[f"{found.one.parts[0].about.name}.faiss"]
    yield _figure("row_bytes", stamp["bytes"] / found.one.parts[0].about.rows)


def _figure(name: str, value: float, note: str = "") -> Figure:
    return Figure(name, (float(value),), BARS[name], note)


def only_told(found: Figure) -> Figure:
    """What is allowed beside FAISS' own time is meant for a million rows."""
    return replace(found, bar=replace(found.bar, least=None, goal=None))


def in_turn(
    ours: Callable[[Float32Array], object], bare: Callable[[Float32Array], object], blocks: list[Float32Array]
) -> tuple[list[float], list[float]]:
    """Milliseconds of each, of every block: who comes second finds some of what is read in the cache."""
    for act in (ours, bare):
        for block in blocks[:20]:
            act(block)
    took: tuple[list[float], list[float]] = [], []
    for number, block in enumerate(blocks):
        for which in (0, 1) if number % 2 else (1, 0):
            took[which].append(_cpu_ms((ours, bare)[which], block))
    return took


def _cpu_ms(act: Callable[[Float32Array], object], block: Float32Array) -> float:
    before = time.process_time_ns()
    act(block)
    return (time.process_time_ns() - before) / 1e6


def _filter_first_ms(snapshot: Snapshot, queries: Float32Array) -> float:
    """The median over filters that nobody used before, each of them asked twice; of a fresh snapshot."""
    snapshot = Snapshot.open(snapshot.store, snapshot.number)
    for live in snapshot.parts:
        live.part.warm()  # as whoever serves it does
    more = []
    for second in range(5):
        half = Filter(where=Where(must=(Condition("start", (("gte", SOURCE_ROWS / 2 + second),)),)))
        ask = partial(snapshot.search, "frame", k=K, filter=half)
        first, again = _cpu_ms(ask, queries[:1]), _cpu_ms(ask, queries[:1])
        more.append(first - again)
    return float(np.median(more))


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--grown", action="store_true", help="parts as increments leave them")
    parser.add_argument("--rows", type=count, default=1_000_000, help="as 10M")
    parser.add_argument("--factory", default="", help="another index than the table says")
    parser.add_argument("--lists", type=int, default=0, help="to look into; by default what the build chose")
    parser.add_argument("--work", type=Path, help="where the store is made, and stays")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    faiss.omp_set_num_threads(1)
    rows = 100_000 if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as work:
        found = []
        root = (asked.work or Path(work)) / "store"
        built = bench(root, rows, asked.factory, asked.lists, is_grown=asked.grown)
        for each in measured(built, "grown" if asked.grown else "twenty_parts"):
            found.append(each if rows >= MEANT_ROWS else only_told(each))
            told(found[-1])
    if asked.json:
        write_json(asked.json, found)
    return exit_code(found)


if __name__ == "__main__":
    sys.exit(main())
