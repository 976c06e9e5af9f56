"""What a server adds to its encoder and to FAISS, and what it does under load.

python benchmarks/serve.py [--quick] [--rows N] [--only PART] [--work DIR] [--json FILE]

A `cinedex serve` in a process of its own is asked over sockets by clients in another one; between their
turns this one encodes and searches without it: the same model, of random weights and in fp32, with all cores
or as many threads as OMP_NUM_THREADS says, and the same index with one thread. Quick: 20,000 rows in place of
a million, and fewer queries.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count as numbers
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as serve does, and before OpenMP is loaded

import faiss
import numpy as np
import torch

from benchmarks.figures import Bar, Figure, shown
from benchmarks.kept import is_kept, keep
from benchmarks.load import Clients, Turn, clients, only, text_search, visited
from benchmarks.outputs import new_file
from benchmarks.rows import DIM, Law, count, fill
from core.collections import Library
from core.store import Store, store_slug
from core.types import Float32Array, Sampling
from extractor.encoders import load
from extractor.encoders.base import Encoder
from index import faissfile
from index.build import build_snapshot
from index.faissfile import FAISS
from index.snapshot import Snapshot
from server.limits import cpus

K, TOGETHER, CLIENTS = 10, 16, 64
MODEL = "open_clip:ViT-B-32"
MEANT_ROWS = 1_000_000
VISIT_S = 0.02

BARS = {
    "text_p50": Bar("a text query ÷ (bare encoding + bare FAISS call), medians", 1.15, 1.05, "lower"),
    "cached_p50_ms": Bar("a cached query less a bare FAISS call, median", 3.0, 2.0, "lower", "ms"),
    "bare_text_ms": Bar("bare encoding of a text, median", unit="ms"),
    "bare_faiss_ms": Bar("bare FAISS call, median", unit="ms"),
    "bare_gain": Bar("texts a second of bare encoding, batches of 16 ÷ of 1"),
    "gain": Bar("(64 clients' ÷ one client's queries a second) ÷ what bare encoding gains", 0.85, 1.0),
    "cpu": Bar("64 clients: CPU seconds a query ÷ those of bare encoding by 16 and a bare FAISS call"),
    "p99_to_p50": Bar("64 clients: 99th percentile ÷ median", 4.0, 2.0, "lower"),
    "lost": Bar("64 clients: requests without an answer", 0.0, 0.0, "lower", ""),
    "refusal_p50_ms": Bar("under overload: a 429, median", unit="ms"),
    "refusal_p99_ms": Bar("under overload: a 429, 99th percentile", 50.0, 20.0, "lower", "ms"),
    "refusal_to_health": Bar("under overload: a 429 ÷ a GET /healthz, medians", 1.5, 1.0, "lower"),
    "recovered": Bar("after it: a text query ÷ before", 1.5, 1.1, "lower"),
}


@dataclass(frozen=True)
class Sizes:
    """How much is asked."""

    rounds: int = 12
    asked: int = 5  # queries a round
    crowds: int = 5
    each: int = 6  # texts a client, of 64
    overload: int = 4  # texts a client, of twice as many as have places


QUICK = Sizes(rounds=3, asked=3, crowds=1, each=2, overload=1)


@dataclass(frozen=True)
class Bare:
    """The encoder and the index without a server."""

    encoder: Encoder
    index: Any
    lists: int

    def texts(self, texts: list[str]) -> Float32Array:
        found: Float32Array = self.encoder.texts(texts).numpy()
        return found

    def search(self, vectors: Float32Array) -> object:
        params = {"params": FAISS.SearchParametersIVF(nprobe=self.lists)} if self.lists else {}
        return self.index.search(vectors, K, **params)


def filled(data: Path, encoder: Encoder, rows: int) -> Store:
    """A library of one store with so many rows, published as one part."""
    library, slug = Library(data), store_slug(encoder.spec.name)
    made = {"benchmark": "serve", "rows": rows}
    if is_kept(data, made):
        return Store.open(library.store_path(slug))
    store = Store.create(library.store_path(slug), encoder.spec, Sampling())
    library.add_store("default", slug)
    fill(store, Law(), rows)
    build_snapshot(store)
    keep(data, made)
    return store


def bare_of(store: Store, encoder: Encoder) -> Bare:
    snapshot = Snapshot.open(store)
    (part,) = snapshot.parts
    index = faissfile.read(store.root / "parts" / f"{part.about.name}.faiss", is_mapped=False)
    return Bare(encoder, index, snapshot.effort("frame").lists if part.about.trained else 0)


@dataclass(frozen=True)
class Server:
    """A process that answers."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Of all its threads so far."""
        spent = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(data: Path, *flags: str) -> Iterator[Server]:
    """One that is ready."""
    command = [sys.executable, "-c", "import sys; from server.cli import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--port", "0", "--quiet", *flags],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    try:
        _wait(port)
        yield Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def _wait(port: int) -> None:
    import httpx

    while httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=600).status_code != 200:
        time.sleep(0.1)


_NUMBERS = numbers()


def texts(number: int) -> list[str]:
    """That nobody asked for before."""
    return [f"a red truck at night, number {next(_NUMBERS)}" for _ in range(number)]


def turn(asked: Sequence[str], clients: int = 1, *, is_patient: bool = False) -> Turn:
    """Searches for these texts."""
    return Turn(tuple(map(text_search, asked)), clients, is_patient)


def ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def alone(bare: Bare, asking: Clients, sizes: Sizes) -> Iterator[Figure]:
    """One client: each round asks the server and the bare two in turn."""
    ratios, over, encoding, searching = [], [], [], []
    known = texts(1)
    asking.do(turn([*texts(3), *known]))  # warm
    vector = bare.texts(texts(2))[:1]
    for _ in range(sizes.rounds):
        ours = statistics.median(1000 * s for _, s in asking.do(turn(texts(sizes.asked))).served)
        encode = statistics.median(ms(lambda: bare.texts(texts(1))) for _ in range(sizes.asked))
        search = statistics.median(ms(lambda: bare.search(vector)) for _ in range(4 * sizes.asked))
        cached = statistics.median(1000 * s for _, s in asking.do(turn(known * (4 * sizes.asked))).served)
        ratios.append(ours / (encode + search))
        over.append(cached - search)
        encoding.append(encode)
        searching.append(search)
    yield figure("text_p50", ratios)
    yield figure("cached_p50_ms", over)
    yield figure("bare_text_ms", encoding)
    yield figure("bare_faiss_ms", searching)


def crowded(bare: Bare, server: Server, asking: Clients, sizes: Sizes) -> Iterator[Figure]:
    """64 clients, who share no text."""
    gains, bares, spreads, costs = [], [], [], []
    lost = 0
    vector = bare.texts(texts(1))
    for _ in range(sizes.crowds):
        own = server.cpu_s()
        many = asking.do(turn(texts(CLIENTS * sizes.each), CLIENTS))
        own = (server.cpu_s() - own) / (CLIENTS * sizes.each)
        one = asking.do(turn(texts(2 * sizes.asked)))
        apart = statistics.median(ms(lambda: bare.texts(texts(1))) for _ in range(2 * sizes.asked))
        began = time.process_time()
        together = statistics.median(ms(lambda: bare.texts(texts(TOGETHER))) for _ in range(4)) / TOGETHER
        encode = (time.process_time() - began) / (4 * TOGETHER)
        began = time.process_time()
        for _ in range(TOGETHER):
            bare.search(vector)
        costs.append(own / (encode + (time.process_time() - began) / TOGETHER))
        bares.append(apart / together)
        rate = len(many.served) / many.seconds
        gains.append(rate / (len(one.served) / one.seconds) / bares[-1])
        times = [seconds for _, seconds in many.served]
        spreads.append(float(np.percentile(times, 99) / np.median(times)))
        lost += CLIENTS * sizes.each - len(only(many.served, 200))
    yield figure("bare_gain", bares)
    yield figure("gain", gains, f"{rate:.1f} queries a second")
    yield figure("cpu", costs)
    yield figure("p99_to_p50", spreads)
    yield figure("lost", [float(lost)])


def overloaded(port: int, asking: Clients, sizes: Sizes) -> Iterator[Figure]:
    """Twice as many clients as there are places, and one that comes again and again."""
    before = statistics.median(s for _, s in asking.do(turn(texts(2 * sizes.asked))).served)
    with visited(port, VISIT_S) as visits:
        asking.do(turn(texts(2 * CLIENTS * sizes.overload), 2 * CLIENTS, is_patient=True))
    both = [(search, health) for (status, search), (_, health) in visits.both if status == 429]
    assert both, "nobody was refused"
    refused, healthy = (1000 * np.percentile(each, [50, 99]) for each in zip(*both, strict=True))
    after = statistics.median(s for _, s in asking.do(turn(texts(2 * sizes.asked))).served)
    note = f"of {len(both)} of {len(visits.both)} visits; /healthz beside it {healthy[1]:.1f} ms"
    yield figure("refusal_p50_ms", [float(refused[0])])
    yield figure("refusal_p99_ms", [float(refused[1])], note)
    yield figure("refusal_to_health", [float(refused[0] / healthy[0])])
    yield figure("recovered", [after / before])


def figure(name: str, values: list[float], note: str = "") -> Figure:
    return Figure(name, tuple(values), BARS[name], note)


def measured(work: Path, rows: int, sizes: Sizes, only: str | None) -> Iterator[Figure]:
    encoder = load(MODEL, random_weights=0)
    assert encoder.spec.dim == DIM
    store = filled(work / "data", encoder, rows)
    bare = bare_of(store, encoder)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cpus())
    faiss.omp_set_num_threads(1)
    if only in (None, "alone"):
        with served(work / "data") as server, clients(server.port) as asking:
            yield from alone(bare, asking, sizes)
    if only == "alone":
        return
    with (
        served(work / "data", "--cache-mb", "0", "--deadline-seconds", "3600") as server,
        clients(server.port) as asking,
    ):
        if only in (None, "crowd"):
            yield from crowded(bare, server, asking, sizes)
        if only in (None, "overload"):
            yield from overloaded(server.port, asking, sizes)


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    parser.add_argument("--rows", type=count, default=MEANT_ROWS, help="as 10M")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    parser.add_argument("--only", choices=("alone", "crowd", "overload"), help="one part of it")
    parser.add_argument("--work", type=Path, help="keep the library there, and take it from there")
    asked = parser.parse_args()
    rows = 20_000 if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as work:
        sizes = QUICK if asked.quick else Sizes()
        found = list(measured(asked.work or Path(work), rows, sizes, asked.only))
    if rows < MEANT_ROWS:  # what is asked is meant for a million rows
        found = [replace(each, bar=replace(each.bar, least=None, goal=None)) for each in found]
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
