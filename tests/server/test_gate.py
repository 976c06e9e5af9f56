"""What the gate does that a client over a socket would have to wait long to see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from server import gate
from server.app import create_app
from server.library import ServedLibrary
from server.settings import ServeSettings
from tests.server.worlds import make_keys


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


@pytest.mark.parametrize(
    ("bound", "reached", "host", "status"),
    [
        ("0.0.0.0", "192.0.2.2", "192.0.2.2:8012", 200),
        ("::", "2001:db8::1", "[2001:DB8:0::1]:8012", 200),
        ("[::]", "2001:db8::1", "[2001:db8::1]", 200),
        ("0.0.0.0", "192.0.2.2", "198.51.100.7:8012", 403),
        ("0.0.0.0", "192.0.2.2", "films.example", 403),
        ("0.0.0.0", "films.example", "films.example.", 403),
        ("127.0.0.1", "192.0.2.2", "192.0.2.2", 403),
        ("192.0.2.3", "192.0.2.2", "192.0.2.2", 403),
    ],
)
def test_bound_to_every_address_it_is_asked_for_by_the_one_that_was_reached(
    bound: str, reached: str, host: str, status: int
) -> None:
    async def ask() -> int:
        app = create_app(ServedLibrary(dict), ServeSettings(host=bound))
        url = f"http://[{reached}]" if ":" in reached else f"http://{reached}"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url) as http:
            return (await http.get("/healthz", headers={"host": host})).status_code

    assert anyio.run(ask) == status


@pytest.mark.parametrize(
    ("published", "keyed", "host", "status"),
    [
        ("0.0.0.0", True, "192.0.2.2:8000", 200),
        ("0.0.0.0", True, "[2001:db8::1]:8000", 200),
        ("[::]", True, "192.0.2.2:8000", 200),
        ("0.0.0.0", True, "films.example", 403),
        ("0.0.0.0", True, "192.0.2.2.films.example", 403),
        ("0.0.0.0", True, "", 403),
        ("0.0.0.0", False, "192.0.2.2:8000", 403),
        ("192.0.2.2", True, "192.0.2.2:8000", 200),
        ("192.0.2.2", True, "192.0.2.3:8000", 403),
        ("127.0.0.1", True, "192.0.2.2:8000", 403),
        (None, True, "192.0.2.2:8000", 403),
    ],
)
def test_published_everywhere_it_is_asked_for_by_any_number_where_there_are_keys(
    tmp_path: Path, published: str | None, keyed: bool, host: str, status: int
) -> None:
    """A container's connections come in on an address that nobody outside knows."""
    if keyed:
        make_keys(tmp_path)

    async def ask() -> int:
        app = create_app(
            ServedLibrary(dict), ServeSettings(host="0.0.0.0", published=published, data=tmp_path)
        )
        url = "http://172.18.0.2:8000"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url) as http:
            return (await http.get("/healthz", headers={"host": host})).status_code

    assert anyio.run(ask) == status


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({"host": "[2001:db8::1]"}, "[2001:db8::1]:8000", 200),
        ({"host": "2001:DB8::1"}, "[2001:db8::1]", 200),
        ({"host": "[2001:db8::1]"}, "[2001:db8::2]", 403),
        ({"allowed_hosts": ["[2001:DB8::2]"]}, "[2001:DB8::2]", 200),
        ({"allowed_hosts": ["Example.org"]}, "example.ORG:1", 200),
    ],
    ids=str,
)
def test_a_host_is_answered_by_its_name_with_and_without_brackets(
    settings: dict[str, Any], host: str, status: int
) -> None:
    async def ask() -> httpx.Response:
        app = create_app(ServedLibrary(dict), ServeSettings(**settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            return await http.get("/healthz", headers={"host": host})

    assert anyio.run(ask).status_code == status
