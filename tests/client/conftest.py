"""The client is tested against the servers of the server's tests, and against some that fail on cue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cinedex_client import AsyncClient, Client

from tests.server.conftest import keyed_server, sample_server

__all__ = ["keyed_server", "sample_server"]


@dataclass(frozen=True)
class Reply:
    """What is answered. cut: so many bytes of the body come, and the connection is gone."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Scripted:
    """A server that answers one reply after the other, the last one again and again."""

    url: str
    replies: list[Reply]
    heard: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def times(self) -> int:
        return len(self.heard)


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    """Starts such servers on real sockets."""
    started: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(*replies: Reply) -> Scripted:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script := Scripted("", [*replies])))
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return script

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(script: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.heard.append((self.command, self.path, headers, sent))
            reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[: reply.cut])
            self.close_connection = True

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


Ask = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Calls a method of either client: `ask(url, "search", "red", limit=1)`; an iterator gives a list."""
    return _waited if request.param == "sync" else _awaited


def _waited(url: str, name: str, *args: Any, settings: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    with Client(url, **settings or {}) as client:
        found = getattr(client, name)(*args, **kwargs)
        return [*found] if isinstance(found, Iterator) else found


def _awaited(url: str, name: str, *args: Any, settings: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    async def call() -> Any:
        async with AsyncClient(url, **settings or {}) as client:
            found = getattr(client, name)(*args, **kwargs)
            if hasattr(found, "__aiter__"):
                return [each async for each in found]
            return await found

    return asyncio.run(call())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that clients would have waited, and did not."""
    waited: list[float] = []

    async def awaited(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("cinedex_client.client.sleep", waited.append)
    monkeypatch.setattr("cinedex_client.awaited.sleep", awaited)
    return waited
