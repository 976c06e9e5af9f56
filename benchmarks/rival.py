"""How many queries a second our server answers, and clip-retrieval's back-end on the same vectors.

python benchmarks/rival.py [--quick] [--rows N] [--work DIR] [--json FILE]

clip-retrieval is installed into an environment of its own: what its back-end imports and we do not bring
(benchmarks/rival.txt). torch, faiss and the rest are ours, so both compute with the same code. Where it
cannot be installed, that is said, and nothing is measured.

Both have the same rows in the same FAISS file, look into as many lists, and hold the same ViT-B-32 of
random weights in fp32. Both are sent the same bytes, by the same clients in another process: POST
/knn-service with an `embedding_input` for 10 rows and what is known of them, not deduplicated. Rounds take
turns, and every other one begins with theirs. What they answer is compared first.

Theirs is `clip_back` with its defaults: index and metadata in memory (ours are mapped), a thread for each
connection, of which each is closed after an answer. So its clients open one for each query, as its own
client does everywhere; those of ours keep theirs, and one measure tells what is left of it if they do not.
Switched off are the aesthetic embeddings and the multilingual text model, which it would download at its
start; safety model and violence detector are off by default, and nobody asks for any of them. Its threads
of OpenMP sleep while they wait, as ours do, which is not its default and is good for it. It writes a line
of log for each request, into a file; ours none. Its answer has a url and a caption for each row; ours a
caption, the address of the picture that is best in it, the video, its path, and when the row begins and
ends.

Beside that, told without a bar: POST /search with the same vectors, which also joins rows to moments and
says how sure it is of each, texts at /knn-service, theirs with --use_arrow, which reads metadata faster,
and CPU, since both do the same search: what a bare FAISS call costs bounds how many times ours can be
ahead. Ours is one worker, its default. Quick: 20,000 rows in place of a million, and fewer queries.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import httpx

from benchmarks import theirs
from benchmarks.figures import Bar, Figure, shown
from benchmarks.load import Clients, Turn, clients, only, post
from benchmarks.outputs import new_file
from benchmarks.rows import Law, count
from benchmarks.serve import MEANT_ROWS, MODEL, Bare, Server, bare_of, filled, served, texts
from core.types import Float32Array
from extractor.encoders import load

K, CROWDS = 10, (1, 16)
COMPARED = 50
_VECTORS, _BARE = 2000, 200
_WARM = 3  # queries a client


def _bars() -> dict[str, Bar]:
    found = {
        "same": Bar("by vector: rows of ours at /knn-service that theirs has too", 0.99, 1.0, unit=""),
        "same_best": Bar(
            "by vector: best of POST /search that hold the row that theirs is", 0.99, 1.0, unit=""
        ),
        "same_text": Bar("by text: rows of ours at /knn-service that theirs has too", 0.99, 1.0, unit=""),
    }
    for crowd in CROWDS:
        by, by_text = f"{crowd} at once, by vector", f"{crowd} at once, by text"
        found |= {
            f"vector_{crowd}": Bar(f"{by}: ours at /knn-service ÷ theirs, queries a second", 5.0, 10.0),
            f"vector_cpu_{crowd}": Bar(f"{by}: CPU of a query at theirs ÷ at ours"),
            f"vector_most_{crowd}": Bar(f"{by}: CPU of a query at theirs ÷ of a bare FAISS call"),
            f"arrow_{crowd}": Bar(f"{by}: ours ÷ theirs with --use_arrow"),
            f"arrow_cpu_{crowd}": Bar(f"{by}: CPU of a query at theirs with --use_arrow ÷ at ours"),
            f"anew_{crowd}": Bar(f"{by}: the same where ours is asked over a connection a query"),
            f"search_{crowd}": Bar(f"{by}: ours at POST /search ÷ theirs"),
            f"arrow_most_{crowd}": Bar(f"{by}: CPU at theirs with --use_arrow ÷ of a bare FAISS call"),
            f"text_{crowd}": Bar(f"{by_text}: ours at /knn-service ÷ theirs, queries a second"),
            f"text_cpu_{crowd}": Bar(f"{by_text}: CPU of a query at theirs ÷ at ours"),
        }
    return found


BARS = _bars()


@dataclass(frozen=True)
class Sizes:
    """How much is asked: rounds, and queries a round by one client and by each of many."""

    rounds: int = 7
    one: int = 100
    each: int = 25
    texts_one: int = 10
    texts_each: int = 3
    compared: int = COMPARED


QUICK = Sizes(rounds=3, one=50, each=10, texts_one=5, texts_each=2, compared=20)


@dataclass(frozen=True)
class Asked:
    """A server and its clients."""

    server: Server
    clients: Clients


@dataclass(frozen=True)
class Servers:
    """Ours, and theirs in two ways."""

    ours: Asked
    theirs: Asked
    arrow: Asked


@dataclass(frozen=True)
class Way:
    """Whom to ask, and how."""

    name: str
    asked: Asked
    request: Callable[[Any], bytes]
    is_anew: bool = False


def knn(**given: object) -> dict[str, object]:
    """What both are sent, as clip-retrieval's client sends it but for what is no search."""
    return {
        **given,
        "modality": "image",
        "num_images": K,
        "num_result_ids": K,
        "indice_name": theirs.INDEX,
        "use_mclip": False,
        "deduplicate": False,
        "use_safety_model": False,
        "use_violence_detector": False,
    }


def moments(vector: list[float]) -> dict[str, object]:
    """What POST /search is sent."""
    return {"query": [{"vector": vector}], "limit": K}


def by_vector(vector: list[float]) -> bytes:
    return post("/knn-service", knn(embedding_input=vector))


def by_text(text: str) -> bytes:
    return post("/knn-service", knn(text=text))


def by_moment(vector: list[float]) -> bytes:
    return post("/search", moments(vector))


@dataclass(frozen=True)
class Rate:
    """Queries a second, and the server's own CPU seconds for each."""

    of_time: float
    cpu_s: float


def raced(
    ways: Sequence[Way], given: Callable[[int], list[Any]], rounds: int, crowd: int, each: int
) -> dict[str, list[Rate]]:
    """The rates of each way, a round each. All are asked the same in one."""
    found: dict[str, list[Rate]] = {way.name: [] for way in ways}
    for way in ways:
        rate(way, given(_WARM * crowd), crowd)
    for number in range(rounds):
        queries = given(crowd * each)
        for way in ways if number % 2 == 0 else reversed(ways):
            found[way.name].append(rate(way, queries, crowd))
    return found


def rate(way: Way, queries: list[Any], crowd: int) -> Rate:
    """Of queries that are all answered."""
    turn = Turn(tuple(map(way.request, queries)), crowd, is_anew=way.is_anew)
    before = way.asked.server.cpu_s()
    told = way.asked.clients.do(turn)
    spent = way.asked.server.cpu_s() - before
    answered = len(only(told.served, 200))
    if answered < len(queries):
        sys.exit(f"{way.name}: {len(queries) - answered} of {len(queries)} queries got no answer.")
    return Rate(answered / told.seconds, spent / answered)


def compared(ours: Server, other: Server, vectors: list[list[float]], sizes: Sizes) -> Iterator[Figure]:
    """That both do the work: what they find is the same."""
    asked = vectors[: sizes.compared]
    answers = [told(other, "/knn-service", knn(embedding_input=vector)) for vector in asked]
    mine = [told(ours, "/knn-service", knn(embedding_input=vector)) for vector in asked]
    yield figure("same", [common(mine, answers)])
    best = [told(ours, "/search", moments(vector))["results"][0] for vector in asked]
    holds = [holding(moment, rows[0]["caption"]) for moment, rows in zip(best, answers, strict=True)]
    yield figure("same_best", [sum(holds) / len(holds)])
    said = [knn(text=text) for text in texts(sizes.compared)]
    answers, mine = ([told(server, "/knn-service", each) for each in said] for server in (other, ours))
    yield figure("same_text", [common(mine, answers)])


def told(server: Server, path: str, body: object) -> Any:
    return (
        httpx.post(f"http://127.0.0.1:{server.port}{path}", json=body, timeout=600).raise_for_status().json()
    )


def common(ours: list[Any], others: list[Any]) -> float:
    """Which share of K rows a query is in both."""
    shares = [
        len(
            {theirs.caption(row["video_id"], row["start"]) for row in mine} & {row["caption"] for row in rows}
        )
        for mine, rows in zip(ours, others, strict=True)
    ]
    return sum(shares) / (K * len(shares))


def holding(moment: Any, caption: str) -> bool:
    """Whether a row that theirs is called so lies in one of our moments."""
    seconds = range(int(moment["start"]), int(moment["end"]))
    return caption in {theirs.caption(moment["video_id"], second) for second in seconds}


def races(servers: Servers, vectors: list[list[float]], bare_s: float, sizes: Sizes) -> Iterator[Figure]:
    """One client, and many at once."""
    endless, ours, other, arrow = cycle(vectors), servers.ours, servers.theirs, servers.arrow
    for crowd in CROWDS:
        ways = (
            Way("theirs", other, by_vector),
            Way("arrow", arrow, by_vector),
            Way("ours", ours, by_vector),
            Way("anew", ours, by_vector, is_anew=True),
            Way("search", ours, by_moment),
        )
        each = sizes.one if crowd == 1 else sizes.each
        found = raced(ways, lambda number: list(islice(endless, number)), sizes.rounds, crowd, each)
        yield ratio(f"vector_{crowd}", found["ours"], found["theirs"])
        yield spared(f"vector_cpu_{crowd}", found["ours"], found["theirs"])
        yield most(f"vector_most_{crowd}", found["theirs"], bare_s)
        yield ratio(f"arrow_{crowd}", found["ours"], found["arrow"])
        yield spared(f"arrow_cpu_{crowd}", found["ours"], found["arrow"])
        yield most(f"arrow_most_{crowd}", found["arrow"], bare_s)
        yield ratio(f"anew_{crowd}", found["anew"], found["theirs"])
        yield ratio(f"search_{crowd}", found["search"], found["theirs"])
        pair = (Way("theirs", other, by_text), Way("ours", ours, by_text))
        each = sizes.texts_one if crowd == 1 else sizes.texts_each
        found = raced(pair, texts, sizes.rounds, crowd, each)
        yield ratio(f"text_{crowd}", found["ours"], found["theirs"])
        yield spared(f"text_cpu_{crowd}", found["ours"], found["theirs"])


def ratio(name: str, ours: list[Rate], others: list[Rate]) -> Figure:
    """Of each round, and the medians behind it."""
    values = [one.of_time / other.of_time for one, other in zip(ours, others, strict=True)]
    rates = [f"{median(rate.of_time for rate in each):.3g}" for each in (ours, others)]
    return figure(name, values, f"{rates[0]} ÷ {rates[1]} queries a second")


def spared(name: str, ours: list[Rate], others: list[Rate]) -> Figure:
    """What others cost for each that ours does, whoever else is on the machine."""
    values = [other.cpu_s / one.cpu_s for one, other in zip(ours, others, strict=True)]
    costs = [f"{1000 * median(rate.cpu_s for rate in each):.3g}" for each in (others, ours)]
    return figure(name, values, f"{costs[0]} ÷ {costs[1]} ms")


def most(name: str, others: list[Rate], bare_s: float) -> Figure:
    """What `spared` would be of a server that did nothing but search, as both do."""
    return figure(name, [other.cpu_s / bare_s for other in others], f"{1000 * bare_s:.3g} ms bare")


def searching_s(bare: Bare, vectors: Float32Array) -> float:
    """CPU seconds of a FAISS call, with one thread."""
    faiss.omp_set_num_threads(1)
    bare.search(vectors[:1])
    began = time.process_time()
    for number in range(len(vectors)):
        bare.search(vectors[number : number + 1])
    return (time.process_time() - began) / len(vectors)


def figure(name: str, values: list[float], note: str = "") -> Figure:
    return Figure(name, tuple(values), BARS[name], note)


def measured(work: Path, rows: int, sizes: Sizes) -> Iterator[Figure]:
    python = theirs.environment(work / "environment")
    encoder = load(MODEL, random_weights=0)
    store = filled(work / "data", encoder, rows)
    model = MODEL.partition(":")[2]
    theirs.files(work / "theirs", store, model)
    queries = Law().queries(next(Law().rows(rows))[:_VECTORS])
    bare_s, vectors = searching_s(bare_of(store, encoder), queries[:_BARE]), queries.tolist()
    with (
        theirs.answering(python, work / "theirs", model, "parquet") as other,
        theirs.answering(python, work / "theirs", model, "arrow") as arrow,
        served(work / "data") as ours,
        clients(ours.port) as asking_ours,
        clients(other.port) as asking_other,
        clients(arrow.port) as asking_arrow,
    ):
        yield from compared(ours, other, vectors, sizes)
        asked = Servers(Asked(ours, asking_ours), Asked(other, asking_other), Asked(arrow, asking_arrow))
        yield from races(asked, vectors, bare_s, sizes)


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    parser.add_argument("--rows", type=count, default=MEANT_ROWS, help="as 10M")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    parser.add_argument(
        "--work", type=Path, help="keep library and environment there, and take them from there"
    )
    asked = parser.parse_args()
    rows = 20_000 if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as work:
        found = list(measured(asked.work or Path(work), rows, QUICK if asked.quick else Sizes()))
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
