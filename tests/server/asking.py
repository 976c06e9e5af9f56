"""Clients that ask all the time, and know of each request what became of it."""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

BODY = b'{"query": "red"}'
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass
class Load:
    """What clients of a server were answered: each keeps a connection of its own until that is closed."""

    url: str
    answers: dict[str, int] = field(default_factory=dict)  # whole ones: a request's id → its status
    torn: list[bytes] = field(default_factory=list)  # what came of an answer that is not whole
    unanswered: set[str] = field(default_factory=set)  # sent when the connection was closed already
    _came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def of(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def until_answered(self, count: int) -> None:
        """So many more times."""
        for _ in range(count):
            assert self._came.acquire(timeout=30)

    def _ask(self) -> None:
        held = urlsplit(self.url)
        with socket.create_connection((held.hostname, held.port), timeout=30) as client:
            while not self._is_over.is_set():
                id = uuid.uuid4().hex
                answer = _answer(client, id)
                if not _is_whole(answer):
                    if answer:
                        self.torn.append(answer)
                    else:
                        self.unanswered.add(id)
                    return
                self.answers[id] = int(answer.split(b" ", 2)[1])
                self._came.release()


def _answer(client: socket.socket, id: str) -> bytes:
    """All that comes, to the end of the answer or of the connection."""
    answer = b""
    headers = ("Host: localhost", f"X-Request-Id: {id}", f"Content-Length: {len(BODY)}", "", "")
    head = "\r\n".join(("POST /search HTTP/1.1", *headers))
    with suppress(ConnectionError):
        client.sendall(head.encode() + BODY)
        while not _is_whole(answer) and (piece := client.recv(65_536)):
            answer += piece
    return answer


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end) and length is not None and len(body) == int(length[1])


def logged(log: Path) -> dict[str, int]:
    """Every search that the access log, as JSON, has: its id → its status."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    searched = [line for line in lines if line["logger"] == "server.access" and line["path"] == "/search"]
    found = {str(line["request_id"]): int(line["status"]) for line in searched}
    assert len(found) == len(searched), "a request is in the log twice"
    return found
