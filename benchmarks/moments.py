"""What a search with moments and grouping costs beside a bare FAISS search for as many rows, and what it
costs to judge a query, in CPU time.

python benchmarks/moments.py [--quick] [--rows N] [--work DIR] [--json FILE]

Rows, index, candidates and the bare search are those of benchmarks/search.py, in one part and in twenty, for
as many rows as the server looks at; one thread, one query at a time, each asked of both in turn. The store
may be the one that its --work keeps. Quick: 100,000 rows in place of a million.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import Bar, Figure, exit_code, told, write_json
from benchmarks.outputs import new_file
from benchmarks.rows import count
from benchmarks.search import MEANT_ROWS, Bench, bench, in_turn, only_told
from core.types import Float32Array
from index.moments import Moment
from index.snapshot import Snapshot
from server.moments import moments_of
from server.ranking import by_video

LOOK_AT, PAGE = 256, 10
RATIO, ALLOWED_MS = 1.3, 0.5  # beside the bare search
ASKED = 200

_CUTS = {"one_part": "one part", "twenty_parts": "twenty parts"}
_WAYS = {"search": "search alone", "moments": "with moments", "by_video": "with moments by video"}
BARS = {
    f"{cut}_{way}_{which}": Bar(
        f"{_CUTS[cut]}, {_WAYS[way]}, {said}: (ours − 0.5 ms) ÷ bare",
        None if way == "search" else RATIO,
        None if way == "search" else 1.0,
        "lower",
    )
    for cut in _CUTS
    for way in _WAYS
    for which, said in (("p50", "median"), ("p99", "99th percentile"))
} | {"judge": Bar("to judge a query", 0.5, 0.5, "lower", "ms")}


def _search(view: Snapshot, query: Float32Array) -> object:
    return view.search("frame", query, LOOK_AT)


def _moments(view: Snapshot, query: Float32Array) -> Sequence[Moment]:
    return moments_of(view.search("frame", query, LOOK_AT)[0], "frame", 0.0)


def _page(view: Snapshot, query: Float32Array) -> object:
    return [*_moments(view, query)[:PAGE]]


def _by_video(view: Snapshot, query: Float32Array) -> object:
    return by_video(_moments(view, query))


def _judge(view: Snapshot, query: Float32Array) -> object:
    judge = view.calibrated.judge("frame", "text", query[0])
    assert judge is not None
    return judge.confidence(0.5)


def measured(found: Bench) -> Iterator[Figure]:
    """Every figure, as it comes."""
    ways: dict[str, Callable[[Snapshot, Float32Array], object]] = {
        "search": _search,
        "moments": _page,
        "by_video": _by_video,
    }
    queries = [query[None] for query in found.queries[:ASKED]]
    for cut, view in (("one_part", found.one), ("twenty_parts", found.several)):
        for way, act in ways.items():
            ours, bare = in_turn(partial(act, view), partial(found.ask_bare, k=LOOK_AT), queries)
            for which, at in (("p50", 50), ("p99", 99)):
                mine, theirs = float(np.percentile(ours, at)), float(np.percentile(bare, at))
                name, note = f"{cut}_{way}_{which}", f"{mine:.2f} ms and {theirs:.2f} ms"
                yield Figure(name, ((mine - ALLOWED_MS) / theirs,), BARS[name], note)

    judged, searched = in_turn(partial(_judge, found.several), partial(_search, found.several), queries)
    note = f"beside a search of {np.median(searched):.2f} ms"
    yield Figure("judge", (float(np.median(judged)),), BARS["judge"], note)


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--rows", type=count, default=1_000_000, help="as 10M")
    parser.add_argument("--work", type=Path, help="where the store is made, and stays")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    faiss.omp_set_num_threads(1)
    rows, found = 100_000 if asked.quick else asked.rows, []
    with tempfile.TemporaryDirectory() as work:
        built = bench((asked.work or Path(work)) / "store", rows, "", 0, is_grown=False)
        for each in measured(built):
            is_meant = rows >= MEANT_ROWS or each.name == "judge"  # whose cost does not depend on them
            found.append(each if is_meant else only_told(each))
            told(found[-1])
    if asked.json:
        write_json(asked.json, found)
    return exit_code(found)


if __name__ == "__main__":
    sys.exit(main())
