"""How late a burst of refusals is answered while another thread computes in Python.

python benchmarks/burst.py [--quick] [--clients N] [--rounds N]

The server's own gate, with no place left, behind uvicorn and real sockets; clients in a second process that
all ask at once. By Python's own switch interval and by the server's, in turns: milliseconds until the last
of a burst has its 429, and of the median one.
"""

from __future__ import annotations

import argparse
import logging
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from benchmarks.load import Clients, Turn, clients, only, text_search
from core import logs
from server.access import Access
from server.answering import SWITCH_S
from server.app import create_app
from server.cli import bind
from server.errors import ApiError
from server.gate import LOOPBACK, Gate, Rules
from server.heads import TimedHeads
from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from server.settings import ServeSettings

PYTHONS_S = 0.005


def main() -> int:
    """A line for each interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=64, help="that ask at once")
    parser.add_argument("--rounds", type=int, default=15, help="of each interval")
    parser.add_argument("--quick", action="store_true", help="three rounds of each")
    asked = parser.parse_args()
    logs.set_up(level=logging.WARNING)
    with bind("127.0.0.1", 0) as listening, full(listening) as port, clients(port) as asking, busy():
        burst(asking, asked.clients)
        found: dict[float, list[list[float]]] = {PYTHONS_S: [], SWITCH_S: []}
        for _ in range(3 if asked.quick else asked.rounds):
            for seconds, times in found.items():
                sys.setswitchinterval(seconds)
                times.append(burst(asking, asked.clients))
    for seconds, times in found.items():
        last, median = [max(each) for each in times], [statistics.median(each) for each in times]
        sys.stdout.write(
            f"{1000 * seconds:g} ms: the last of {asked.clients} after {told(last)}, "
            f"the median one after {told(median)}\n"
        )
    return 0


def told(seconds: list[float]) -> str:
    least, most = 1000 * min(seconds), 1000 * max(seconds)
    return f"{1000 * statistics.median(seconds):.0f} ms ({least:.0f}–{most:.0f})"


def burst(asking: Clients, count: int) -> list[float]:
    """Seconds that each of so many waited."""
    refused = only(asking.do(Turn((text_search("red"),) * count, count)).served, 429)
    assert len(refused) == count, "somebody was not refused"
    return refused


@contextmanager
def full(listening: socket.socket) -> Iterator[int]:
    """The port of a server that has a place for nobody."""
    settings, library, slots = ServeSettings(), ServedLibrary(dict), Slots(1, 0)
    gate = Gate(
        create_app(library, settings),
        rules=Rules(frozenset(LOOPBACK), 1 << 20),
        access=Access.of(settings),
        metrics=Metrics(library, slots, slots),
        full=lambda path: ApiError(429, "All slots and places are taken."),
    )
    config = uvicorn.Config(
        gate, log_config=None, access_log=False, server_header=False, http=TimedHeads, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def busy() -> Iterator[None]:
    """A thread that computes in Python all the while."""
    is_over = threading.Event()

    def compute() -> None:
        while not is_over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
