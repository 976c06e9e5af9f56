"""Clients of a server, in a process of their own: what they send is made beforehand, what comes is timed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

Served = tuple[int, float]  # a status, and the seconds it took


@dataclass(frozen=True, slots=True)
class Turn:
    """So many clients, each with a connection, share these texts; who is told to come again does, if it is
    patient. Of a visitor: one more request each so many seconds while they are served."""

    texts: tuple[str, ...]
    clients: int = 1
    is_patient: bool = False
    visit_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a turn."""

    seconds: float
    served: tuple[Served, ...]
    visits: tuple[Served, ...]


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
    texts, served, visits = iter(turn.texts), list[Served](), list[Served]()
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(turn.clients)]
    began = time.perf_counter()
    visitor = asyncio.create_task(_visit(turn.visit_s, port, visits))
    await asyncio.gather(*(_client(texts, turn.is_patient, served, *line) for line in lines))
    seconds = time.perf_counter() - began
    visitor.cancel()
    for _, writer in lines:
        writer.close()
    return Told(seconds, tuple(served), tuple(visits))


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


async def _visit(every_s: float, port: int, visits: list[Served]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while every_s:
            await asyncio.sleep(every_s)
            visits.append(await _ask("a visitor", reader, writer))
    finally:
        writer.close()


async def _ask(text: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Served:
    body = json.dumps({"query": text}).encode()
    head = f"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    began = time.perf_counter()
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in answer.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(answer.split(b" ", 2)[1]), time.perf_counter() - began


def only(told: Sequence[Served], status: int) -> list[float]:
    """The seconds of those that were answered so."""
    return [seconds for code, seconds in told if code == status]
