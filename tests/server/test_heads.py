"""Heads that never end, over raw sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from server import heads
from server.library import ServedLibrary
from tests.server.conftest import in_thread

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """It has all the time that there is, until a test says `hasten`."""
    with in_thread(ServedLibrary(dict)) as http:
        yield http


@pytest.fixture
def hasten(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on a head must be whole within 0.3 s."""
    return lambda: monkeypatch.setattr(heads, "HEAD_S", 0.3)


@contextmanager
def connected(http: httpx.Client) -> Iterator[socket.socket]:
    port = http.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        yield raw


def answered(raw: socket.socket) -> None:
    """Ask something, and wait for the whole answer."""
    raw.sendall(HEAD + b"\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += raw.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200")


def drip(raw: socket.socket, text: bytes) -> float:
    """Send it byte by byte until nobody listens any more; for how long somebody did."""
    began = time.monotonic()
    raw.settimeout(0.02)
    for byte in text:
        try:
            raw.sendall(bytes([byte]))
            if raw.recv(1_000) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        pytest.fail("somebody listened to the end")
    return time.monotonic() - began


def test_a_client_that_says_nothing_is_let_go(http: httpx.Client, hasten: Callable[[], None]) -> None:
    assert http.get("/healthz").status_code == 200
    hasten()
    with connected(http) as raw:
        assert raw.recv(1_000) == b""
    assert http.get("/healthz").status_code == 200


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(
    http: httpx.Client, hasten: Callable[[], None]
) -> None:
    assert http.get("/healthz").status_code == 200
    hasten()
    with connected(http) as raw:
        assert drip(raw, HEAD + b"A: " + b"b" * 500) < 5
    assert http.get("/healthz").status_code == 200


def test_neither_is_the_second_one_of_a_connection(http: httpx.Client, hasten: Callable[[], None]) -> None:
    with connected(http) as raw:
        answered(raw)
        hasten()
        assert drip(raw, HEAD + b"A: " + b"b" * 500) < 5


def test_a_head_in_two_pieces_is_one(http: httpx.Client) -> None:
    with connected(http) as raw:
        raw.sendall(HEAD[:20])
        raw.sendall(HEAD[20:] + b"\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_body_has_its_own_time(http: httpx.Client, hasten: Callable[[], None]) -> None:
    """Once its head is there, the gate waits for it and answers."""
    with connected(http) as raw:
        answered(raw)
        hasten()
        raw.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n")
        raw.settimeout(0.6)
        with pytest.raises(TimeoutError):
            raw.recv(1_000)
        raw.settimeout(10)
        raw.sendall(b'{"key": "abc"}'[:13])
        assert raw.recv(65_536).startswith(b"HTTP/1.1 400")
