"""What the gate does that a client over a socket would have to wait long to see."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from server import gate
from server.app import create_app
from server.library import ServedLibrary
from server.settings import ServeSettings


def test_a_body_that_stops_coming_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_S", 0.05)

    async def half() -> AsyncIterator[bytes]:
        yield b'{"query":'
        await anyio.sleep_forever()

    async def ask() -> httpx.Response:
        app = create_app(ServedLibrary(dict), ServeSettings())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            return await http.post("/search", content=half())

    answer = anyio.run(ask)
    assert answer.status_code == 408
    assert answer.json()["error"]["type"] == "too_slow"
