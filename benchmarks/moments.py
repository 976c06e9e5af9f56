"""What moments and grouping cost beside the search alone, in CPU time: `python benchmarks/moments.py`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, Kind, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index.build import build_snapshot
from index.snapshot import Snapshot
from server.moments import moments_of
from server.ranking import by_video

LOOK_AT = 256
SHARE, FIXED_MS = 1.3, 0.5  # what is allowed beside the search
_VIDEO_ROWS = 50
_BATCH = 2_000  # videos a commit


def medians_ms(view: Snapshot, kind: Kind, queries: Float32Array) -> tuple[float, float, float]:
    """Of the search alone, with moments, and with moments by video: one query at a time, on one thread."""
    faiss.omp_set_num_threads(1)
    ways: tuple[Callable[[Float32Array], object], ...] = (
        lambda query: view.search(kind, query, LOOK_AT),
        lambda query: moments_of(view.search(kind, query, LOOK_AT)[0], kind, 0.0),
        lambda query: by_video(moments_of(view.search(kind, query, LOOK_AT)[0], kind, 0.0)),
    )
    spent = np.array([[_seconds(way, query[None]) for way in ways] for query in queries])
    alone, moments, grouped = (1000 * np.median(spent, axis=0)).tolist()
    return alone, moments, grouped


def _seconds(way: Callable[[Float32Array], object], query: Float32Array) -> float:
    began = time.process_time()
    way(query)
    return time.process_time() - began


def filled(root: Path, rows: int, dim: int) -> Store:
    """A store of clips of 8 seconds every 4, at random."""
    store = Store.create(root, EncoderSpec("toy:rgb", dim, Look(32)), Sampling())
    chance = np.random.default_rng(0)
    for first in range(0, rows // _VIDEO_ROWS, _BATCH):
        writer = Writer(store)
        for number in range(first, min(first + _BATCH, rows // _VIDEO_ROWS)):
            id = f"v-{number:032x}"
            made = _unit(chance.standard_normal((1, dim)) + chance.standard_normal((_VIDEO_ROWS, dim)))
            segments = [Segment(id, 4.0 * i, 4.0 * i + 8) for i in range(_VIDEO_ROWS)]
            task = Task(Place("films", f"{number}.mp4".encode(), "1"), 0)
            writer.add(task, Source(id), {"clip": (segments, made)}, Facts(seconds=4.0 * _VIDEO_ROWS + 4))
        writer.commit()
    return store


def _unit(vectors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Float32Array:
    found: Float32Array = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="20,000 rows of 64 numbers")
    asked = parser.parse_args()
    rows, dim = (20_000, 64) if asked.quick else (asked.rows, asked.dim)
    with TemporaryDirectory() as folder:
        store = filled(Path(folder) / "store", rows, dim)
        view = Snapshot.open(store, build_snapshot(store, publish=False).number)
        queries = _unit(np.random.default_rng(1).standard_normal((asked.queries, dim)))
        alone, moments, grouped = medians_ms(view, "clip", queries)
    allowed = SHARE * alone + FIXED_MS
    sys.stdout.write(
        f"{rows} rows of {dim}: search {alone:.2f} ms, with moments {moments:.2f} ms "
        f"({moments / alone:.2f} ×), by video {grouped:.2f} ms ({grouped / alone:.2f} ×); "
        f"allowed {allowed:.2f} ms\n"
    )
    return 0 if max(moments, grouped) <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
