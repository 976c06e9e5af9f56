"""What could be read in two ways, or is absurdly large, byte by byte over a raw socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import pytest

from tests.server.conftest import Running
from tests.server.worlds import until

GET, POST = b"GET /healthz HTTP/1.1", b"POST /search HTTP/1.1"
HOST, CHUNKED = b"Host: localhost", b"Transfer-Encoding: chunked"


def lines(*held: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (*held, b""))


@contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    port = server.http.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        yield raw


def answer(raw: socket.socket) -> tuple[int, bytes]:
    found = HTTPResponse(raw)
    found.begin()
    return found.status, found.read()


def refused(server: Running, sent: bytes) -> tuple[int, bytes]:
    """What is answered, when nothing is answered after it."""
    with connected(server) as raw:
        raw.sendall(sent)
        found = answer(raw)
        assert raw.recv(1_000) == b"", "the connection goes on"
    assert server.http.get("/healthz").status_code == 200
    return found


@pytest.mark.parametrize(
    "head",
    [
        *(
            [b"Content-Length: " + text]
            for text in (b"x", b"-1", b"+5", b"0x10", b"1_0", b"5 6", b"5,6", b"")
        ),
        [b"Content-Length: " + b"9" * 5_000],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5", b" 6"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Host: localhost"],
        [b"Host: evil.example"],
        [b"A\x00: b"],
        [b"A: \x00"],
        [b"A B: c"],
    ],
    ids=lambda head: repr(head)[:40],
)
def test_a_body_of_doubtful_length_and_doubled_hosts_are_refused(
    sample_server: Running, head: list[bytes]
) -> None:
    status, body = refused(sample_server, lines(POST, HOST, *head) + b"12345")
    assert (status, json.loads(body)["error"]["type"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ([HOST, CHUNKED, b"Content-Length: 5"], "Content-Length and Transfer-Encoding exclude each other."),
        ([HOST, b"x-api-key: a", b"x-api-key: b"], "The header x-api-key is there more than once."),
        (
            [HOST, b"Authorization: a", b"authorization: b"],
            "The header authorization is there more than once.",
        ),
        (
            [HOST, b"Content-Type: a/b", b"Content-Type: a/c"],
            "The header content-type is there more than once.",
        ),
        ([b"Host: a b"], "The header host is no name and port."),
        ([b"Host: localhost:x"], "The header host is no name and port."),
        ([b"Host: evil@localhost"], "The header host is no name and port."),
        ([b"Host: localhost/evil"], "The header host is no name and port."),
        ([b"Host: [::1"], "The header host is no name and port."),
    ],
)
def test_what_is_http_and_yet_doubtful_is_refused_in_our_shape(
    sample_server: Running, head: list[bytes], says: str
) -> None:
    status, body = refused(sample_server, lines(POST, *head) + b"0\r\n\r\n")
    error = json.loads(body)["error"]
    assert (status, error["type"], error["message"]) == (400, "invalid_request", says)


def test_no_second_request_is_smuggled_in_a_body(sample_server: Running) -> None:
    inner = lines(b"GET /collections HTTP/1.1", HOST)
    length = b"Content-Length: %d" % (5 + len(inner))
    status, body = refused(sample_server, lines(POST, HOST, length, CHUNKED) + b"0\r\n\r\n" + inner)
    assert status == 400 and b"collections" not in body


@pytest.mark.parametrize("body", [b"x\r\n", b"-1\r\n", b"5\r\n1234567\r\n0\r\n\r\n", b"F" * 30 + b"\r\n"])
def test_chunks_that_are_none_are_refused(sample_server: Running, body: bytes) -> None:
    with connected(sample_server) as raw:
        raw.sendall(lines(POST, HOST, CHUNKED) + body)
        assert answer(raw)[0] == 400


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (b"/%00", "The path must have no control characters."),
        (b"/search%0d%0aX-Evil:%201", "The path must have no control characters."),
        (b"/%7f", "The path must have no control characters."),
        (b"/%C2%85", "The path must have no control characters."),
        (b"/%c0%ae%c0%ae/", "The path must be UTF-8."),
        (b"http://[", "The path must begin with '/'."),
        (b"localhost:80", "The path must begin with '/'."),
        (b"*", "The path must begin with '/'."),
    ],
)
def test_a_path_that_is_none_is_refused(sample_server: Running, path: bytes, says: str) -> None:
    status, body = refused(sample_server, lines(b"GET " + path + b" HTTP/1.1", HOST))
    assert (status, json.loads(body)["error"]["message"]) == (400, says)


@pytest.mark.parametrize(
    "path", ["//evil.example/healthz", "/healthz/", "/./healthz", "/a/../healthz", "/[::1", "/%25"]
)
def test_a_strange_path_is_another_path(sample_server: Running, path: str) -> None:
    with connected(sample_server) as raw:
        raw.sendall(lines(f"GET {path} HTTP/1.1".encode(), HOST))
        assert answer(raw)[0] == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (lines(b"GET /healthz?" + b"a" * 8_200 + b" HTTP/1.1", HOST), 414),
        (lines(b"GET /" + b"a" * 8_200 + b" HTTP/1.1", HOST), 414),
        (lines(GET, HOST, *(b"A%d: b" % number for number in range(100))), 431),
    ],
    ids=["query", "path", "headers"],
)
def test_what_is_absurdly_large_is_refused(sample_server: Running, sent: bytes, status: int) -> None:
    found, body = refused(sample_server, sent)
    assert (found, json.loads(body)["error"]["type"]) == (status, "too_large")


def test_headers_of_too_many_bytes_are_refused(sample_server: Running) -> None:
    sent = lines(GET, HOST, *(b"A%d: " % number + b"b" * 999 for number in range(33)))
    assert refused(sample_server, sent)[0] in (431, 400)  # 400: of the layer below, if they come in pieces


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 nonsense\r\n\r\n",
        lines(GET, HOST)[:-2] + b"A: " + b"b" * 70_000,
    ],
    ids=["no HTTP", "a head that never ends"],
)
def test_what_is_no_http_is_refused_in_our_shape(sample_server: Running, sent: bytes) -> None:
    with connected(sample_server) as raw:
        raw.sendall(sent)
        found = HTTPResponse(raw)
        found.begin()
        held = json.loads(found.read())
    assert (found.status, held["error"]["type"]) == (400, "invalid_request")
    assert found.headers["X-Request-Id"] == held["request_id"]
    assert found.headers["X-Content-Type-Options"] == "nosniff"


def test_a_body_that_goes_bad_behind_its_answer_is_no_bug(sample_server: Running) -> None:
    with connected(sample_server) as raw:
        raw.sendall(lines(POST, b"Host: evil.example", CHUNKED) + b"1\r\n")
        assert answer(raw)[0] == 403
        raw.sendall(b"{no chunk\r\n\r\n")
        assert raw.recv(1_000) == b""
    assert sample_server.http.get("/healthz").status_code == 200
    assert "Traceback" not in sample_server.log.read_text()


@pytest.mark.parametrize("depth", [100, 900, 5_000, 80_000])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ('{"query": "red", "filter": ' + "%s", ""),
        ('{"query": ' + "%s", ""),
        ('{"nothing": ' + "%s", ""),
    ],
    ids=["filter", "query", "unknown"],
)
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"must": [', "]}"), ('{"a": ', "}")])
def test_however_deep_json_is_it_is_refused(
    sample_server: Running, depth: int, before: str, behind: str, opens: str, closes: str
) -> None:
    body = before % (opens * depth + "1" + closes * depth) + "}"
    found = sample_server.http.post("/search", content=body)
    assert found.status_code == 400
    held: dict[str, Any] = found.json()
    assert held["error"]["type"] == "invalid_request" and len(held["error"]["message"]) < 500


def test_a_pipeline_is_answered_in_its_order(sample_server: Running) -> None:
    with connected(sample_server) as raw:
        raw.sendall(lines(GET, HOST) + lines(b"GET /nothing HTTP/1.1", HOST, b"Connection: close"))
        told = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert told.index(b"HTTP/1.1 200") < told.index(b"HTTP/1.1 404")


def test_a_socket_that_would_be_one_of_the_web_stays_http(sample_server: Running) -> None:
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    with connected(sample_server) as raw:
        raw.sendall(lines(GET, HOST, *upgrade, b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
        assert answer(raw)[0] == 200
    assert "WebSocket" not in sample_server.log.read_text()  # no advice to install what would not be used


def test_what_is_logged_of_a_request_names_no_other_of_its_connection(sample_server: Running) -> None:
    with connected(sample_server) as raw:
        for body in (b"x" * 1_000_000, b"x" * 1_000_000, b""):  # large ones are read piece by piece
            length = b"Content-Length: %d" % len(body)
            raw.sendall(lines(POST, HOST, length, b"X-Request-Id: one-of-%d" % len(body)) + body)
            assert answer(raw)[0] == 400
    found = list[str]()

    def is_logged() -> bool:
        told = sample_server.log.read_text().splitlines()
        found[:] = [line for line in told if line.endswith("request_id=one-of-0")]
        return bool(found)

    until(is_logged)
    assert [line.count("request_id=") for line in found] == [1]
