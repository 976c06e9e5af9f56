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
    """So many clients share these requests, each with a connection that it keeps for as long as the server
    does, or opens anew for each; who is told to come again does, if it is patient."""

    sent: tuple[bytes, ...]
    clients: int = 1
    is_patient: bool = False
    is_anew: bool = False


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
    sent, served = iter(turn.sent), list[Served]()
    lines = [_Line(port, turn.is_anew) for _ in range(turn.clients)]
    for line in lines:
        await line.open()
    began = time.perf_counter()
    await asyncio.gather(*(_client(sent, turn.is_patient, served, line) for line in lines))
    seconds = time.perf_counter() - began
    for line in lines:
        line.close()
    return Told(seconds, tuple(served))


async def _client(sent: Iterator[bytes], is_patient: bool, served: list[Served], line: _Line) -> None:
    for request in sent:
        while True:
            status, seconds = await line.ask(request)
            if status != 429 or not is_patient:
                break
            await asyncio.sleep(1)
        served.append((status, seconds))


class _Line:
    """A client's connection, opened again where it was closed: that is time which the client waits."""

    def __init__(self, port: int, is_anew: bool) -> None:
        self._port, self._is_anew = port, is_anew
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        return self._ends

    async def ask(self, request: bytes) -> Served:
        began = time.perf_counter()
        reader, writer = await self.open()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, length = _head(head)
        await reader.readexactly(length)
        seconds = time.perf_counter() - began
        if self._is_anew or not _is_kept(head):
            self.close()
        return status, seconds

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None


def post(path: str, body: object) -> bytes:
    """A request, whole."""
    told = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(told)}\r\n\r\n"
    return head.encode() + told


def text_search(text: str) -> bytes:
    """For a text."""
    return post("/search", {"query": text})


def _is_kept(head: bytes) -> bool:
    """Whether the server takes another request on this connection."""
    return not head.startswith(b"HTTP/1.0") and b"\r\nconnection: close" not in head.lower()


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
            visits.both.append(
                (_told(line, answers, text_search("a visitor")), _told(line, answers, _HEALTH))
            )


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
