"""What it takes to open a large snapshot: seconds until it answers, and memory of one process and of three.

python benchmarks/opening.py [--rows N] [--quick] [--json FILE]

The store is real, made by the writer and the build; only its vectors are short, to spare the disk.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Look, Place, Sampling, Segment, Source
from core.writer import Writer
from index.build import build_snapshot, publish

DIM = 16
ROWS_A_SOURCE = 100
FACTORY = "IVF1024,SQ8"
SEARCHES = 50
PROCESSES = 3
RUNS = 5
BARS = {
    "open_seconds": Bar("opening it", 3.0, 1.0, "lower", "s"),
    "first_answer_seconds": Bar("its first answer after that", 1.0, 0.2, "lower", "s"),
    "private_megabytes": Bar("memory of its own, after 50 answers", 100.0, 30.0, "lower", "MB"),
    "share_of_three": Bar("a process' share of the pages ÷ that of one alone, of three", 0.6, 0.45, "lower"),
}


def made(root: Path, rows: int) -> Store:
    """A store of so many frame rows, published."""
    spec = EncoderSpec("toy:rgb", DIM, Look(32))
    store = Store.create(root, spec, Sampling(), np.eye(8, DIM, dtype=np.float32))
    chance, writer = np.random.default_rng(0), Writer(store)
    for number in range(rows // ROWS_A_SOURCE):
        id = f"v-{number:032x}"
        segments = [Segment(id, float(t), t + 1.0) for t in range(ROWS_A_SOURCE)]
        vectors = chance.standard_normal((ROWS_A_SOURCE, DIM)).astype(np.float32)
        task = Task(Place("films", b"a folder/film %d.mp4" % number, f"{number}-170"), 0)
        facts = Facts(size=number, seconds=float(ROWS_A_SOURCE), codec="h264", width=1920, height=1080)
        writer.add(task, Source(id), {"frame": (segments, vectors)}, facts)
        if writer.due:
            writer.commit()
    writer.commit()
    built = build_snapshot(store, publish=False, factories={"frame": FACTORY})
    publish(store, built.number, below_recall=True)  # rows at random, which any index finds badly
    return store


def child(root: Path, opened: Any, sending: Connection) -> None:
    """Open it, answer, and tell seconds and megabytes once all others have."""
    from index.snapshot import Snapshot

    store = Store.open(root)
    before, began = private_megabytes(), time.perf_counter()
    snapshot = Snapshot.open(store)
    open_s = time.perf_counter() - began
    queries = np.random.default_rng(1).standard_normal((SEARCHES, DIM)).astype(np.float32)
    began = time.perf_counter()
    snapshot.search("frame", queries[:1], 10)
    first_s = time.perf_counter() - began
    for query in queries:
        snapshot.search("frame", query[None], 10)
    opened.wait()
    sending.send((open_s, first_s, private_megabytes() - before, of_mapped("Pss")))
    opened.wait()


def private_megabytes() -> float:
    """What nobody else could use."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) / 1000


def of_mapped(what: str) -> float:
    """Megabytes of the files of parts and snapshots that this process has mapped."""
    total, is_ours = 0.0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name = line.split()[0]
        if not name.endswith(":"):
            is_ours = "/parts/" in line or "/snapshots/" in line
        elif is_ours and name == f"{what}:":
            total += float(line.split()[1]) / 1000
    return total


def opened_by(root: Path, count: int) -> list[tuple[float, float, float, float]]:
    """What so many processes that have it open at once tell."""
    context = get_context("spawn")
    barrier, pipes = context.Barrier(count), [context.Pipe(duplex=False) for _ in range(count)]
    processes = [context.Process(target=child, args=(root, barrier, sending)) for _, sending in pipes]
    for process in processes:
        process.start()
    found = [receiving.recv() for receiving, _ in pipes]
    for process in processes:
        process.join()
    return found


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="10,000,000 unless said otherwise")
    parser.add_argument("--quick", action="store_true", help="1,000,000 rows")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        root = Path(work) / "store"
        made(root, 1_000_000 if asked.quick else asked.rows)
        alone = [opened_by(root, 1)[0] for _ in range(RUNS)]
        together = opened_by(root, PROCESSES)
    seconds, first, private, share = zip(*alone, strict=True)
    of_three = statistics.mean(each[3] for each in together) / statistics.median(share)
    values = {
        "open_seconds": seconds,
        "first_answer_seconds": first,
        "private_megabytes": private,
        "share_of_three": (of_three,),
    }
    found = [Figure(name, tuple(each), BARS[name]) for name, each in values.items()]
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
