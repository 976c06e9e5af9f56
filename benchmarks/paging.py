"""What the hundredth page costs beside the first, in CPU time: `python benchmarks/paging.py`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import faiss
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.log import Task
from core.query import Part, Query
from core.store import Store
from core.types import EncoderSpec, Facts, Float32Array, IntArray, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index.build import build_snapshot
from index.snapshot import Snapshot
from server.cursor import FIRST
from server.searcher import Searcher

PAGE = 50
_VIDEO_ROWS = 50
_BATCH = 2_000  # videos a commit
SHOWN = (1, 2, 10, 50, 100)
WAYS = {
    "merged": Query((), limit=PAGE),
    "not merged": Query((), limit=PAGE, merge_gap_s=None),
    "by video": Query((), limit=PAGE, by_video=True),
}


@dataclass
class Chance:
    """An encoder of texts that are numbers: the vectors are at random."""

    spec: EncoderSpec

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def clips(self, features: torch.Tensor, index: Sequence[IntArray]) -> torch.Tensor:
        raise NotImplementedError

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        rows = [np.random.default_rng(int(text)).standard_normal(self.spec.dim) for text in texts]
        return torch.nn.functional.normalize(torch.tensor(np.stack(rows), dtype=torch.float32))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)


def page_ms(searcher: Searcher, query: Query) -> dict[int, float]:
    """CPU time of some pages, one after the other."""
    place, spent = FIRST, dict[int, float]()
    for number in range(1, max(SHOWN) + 1):
        began = time.process_time()
        answer = searcher.answer(query, place)
        spent[number] = 1000 * (time.process_time() - began)
        if answer.next is None:
            break
        place = answer.next
    return spent


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
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 rows of 64 numbers, and one query")
    asked = parser.parse_args()
    rows, dim, queries = (20_000, 64, 1) if asked.quick else (asked.rows, asked.dim, asked.queries)
    faiss.omp_set_num_threads(1)
    with TemporaryDirectory() as folder:
        store = filled(Path(folder) / "store", rows, dim)
        view = Snapshot.open(store, build_snapshot(store, publish=False).number)
        searcher = Searcher("default", Chance(store.spec), view)
        for told_as, how in WAYS.items():
            asking = [replace(how, parts=(Part(text=str(number)),)) for number in range(queries)]
            spent = [page_ms(searcher, query) for query in asking]
            told = {page: [each[page] for each in spent if page in each] for page in SHOWN}
            shown = ", ".join(f"{page}: {np.median(ms):.1f} ms" for page, ms in told.items() if ms)
            last = max(map(len, spent))
            sys.stdout.write(
                f"{rows} rows of {dim}, {told_as}: pages of {PAGE}, {shown}; the last is {last}\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
