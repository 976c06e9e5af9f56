"""Clients of a server, in a process of their own: what they send is made beforehand, what comes is timed."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import BinaryIO

_VISITORS = 8
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
Served = tuple[int, float]  # a status, and the seconds it took


@dataclass(frozen=True, slots=True)
class Turn:
    """So many clients, each with a connection, share these texts; who is told to come again does, if it is
    patient."""

    texts: tuple[str, ...]
    clients: int = 1
    is_patient: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a turn."""

    seconds: float
    served: tuple[Served, ...]


class Clients:
    """They do one turn after another."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def do(self, turn: Turn) -> Told:
        self._line.send(turn)
        found = self._line.recv()
        assert isinstance(found, Told), found
        return found


@contextmanager
def clients(port: int) -> Iterator[Clients]:
    """In a second process, until the end of the block."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, port))
    process.start()
    theirs.close()
    try:
        yield Clients(ours)
    finally:
        ours.close()
        process.join()


def _serve(line: Connection, port: int) -> None:
    while True:
        try:
            turn = line.recv()
        except EOFError:
            return
        line.send(asyncio.run(_turn(turn, port)))


async def _turn(turn: Turn, port: int) -> Told:
    texts, served = iter(turn.texts), list[Served]()
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(turn.clients)]
    began = time.perf_counter()
    await asyncio.gather(*(_client(texts, turn.is_patient, served, *line) for line in lines))
    seconds = time.perf_counter() - began
    for _, writer in lines:
        writer.close()
    return Told(seconds, tuple(served))


async def _client(
    texts: Iterator[str],
    is_patient: bool,
    served: list[Served],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    for text in texts:
        while True:
            status, seconds = await _ask(text, reader, writer)
            if status != 429 or not is_patient:
                break
            await asyncio.sleep(1)
        served.append((status, seconds))


async def _ask(text: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Served:
    sent = _search(text)
    began = time.perf_counter()
    writer.write(sent)
    status, length = _head(await reader.readuntil(b"\r\n\r\n"))
    await reader.readexactly(length)
    return status, time.perf_counter() - began


def _search(text: str) -> bytes:
    body = json.dumps({"query": text}).encode()
    head = f"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _head(head: bytes) -> tuple[int, int]:
    """The status, and how long the body is."""
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return int(head.split(b" ", 2)[1]), length


@dataclass(frozen=True, slots=True)
class Visits:
    """What visitors got who came while others were served: of a search, and of /healthz just after it."""

    both: list[tuple[Served, Served]] = field(default_factory=list)


@contextmanager
def visited(port: int, every_s: float) -> Iterator[Visits]:
    """Until the end of the block, by threads of this process, which the clients' own work cannot hold up;
    by several, since who is not refused waits for its answer."""
    visits, is_over = Visits(), threading.Event()
    given = port, _VISITORS * every_s, visits, is_over
    threads = [threading.Thread(target=_visit, args=given) for _ in range(_VISITORS)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _visit(port: int, every_s: float, visits: Visits, is_over: threading.Event) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as answers:
        while not is_over.wait(every_s):
            visits.both.append((_told(line, answers, _search("a visitor")), _told(line, answers, _HEALTH)))


def _told(line: socket.socket, answers: BinaryIO, sent: bytes) -> Served:
    began = time.perf_counter()
    line.sendall(sent)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += answers.readline()
    status, length = _head(head)
    answers.read(length)
    return status, time.perf_counter() - began


def only(told: Sequence[Served], status: int) -> list[float]:
    """The seconds of those that were answered so."""
    return [seconds for code, seconds in told if code == status]
