"""What takes too long, or has nobody who waits for it, is ended and frees what it held."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from core.query import Query
from core.stop import Unwanted, require_wanted
from server.library import ServedLibrary
from server.searcher import Answer, Searcher
from tests.server.conftest import in_thread
from tests.server.test_batching import Counting
from tests.server.test_follow import status
from tests.server.test_serving import library
from tests.server.worlds import TOY, Shelf, until


class Endless:
    """A search that ends by nothing but its not being wanted, and says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        answer, beat = Searcher.answer, threading.Event()

        def endless(searcher: Searcher, query: Query, *more: Any) -> Answer:
            if query.parts[0].text != "endless":
                return answer(searcher, query, *more)
            self.begun.release()
            try:
                while not beat.wait(0.001):
                    require_wanted()
            finally:
                self.ended.release()
            raise AssertionError

        monkeypatch.setattr(Searcher, "answer", endless)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    return Endless(monkeypatch)


@contextmanager
def connected(http: httpx.Client, query: str) -> Iterator[socket.socket]:
    """A client of its own that has asked."""
    body = f'{{"query": "{query}"}}'.encode()
    head = f"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=30) as client:
        client.sendall(head.encode() + body)
        yield client


def counted(http: httpx.Client, status: str, route: str = "/search") -> bool:
    return f'route="{route}",status="{status}"' in http.get("/metrics").text


def test_a_deadline_ends_the_work_and_frees_its_slot(shelf: Shelf, endless: Endless) -> None:
    with in_thread(library(shelf, TOY), max_concurrent=1, deadline_seconds=0.3) as http:
        until(lambda: status(http) == 200)
        answer = http.post("/search", json={"query": "endless"})
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (503, "unavailable")
        assert error["message"].startswith("No answer was found within 0.3 s")
        assert answer.headers["retry-after"] == "2"
        assert endless.ended.acquire(timeout=30)
        until(lambda: status(http) == 200)  # a slow machine may need more than one deadline


def test_the_document_has_the_status_of_what_takes_too_long(shelf: Shelf, endless: Endless) -> None:
    with in_thread(library(shelf, TOY), deadline_seconds=0.3) as http:
        until(lambda: status(http) == 200)
        answer = http.post("/search/batch", json={"requests": [{"query": "endless"}]})
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
        until(lambda: http.get("/openapi.json").status_code == 200)
        document = http.get("/openapi.json").json()
        for path, operations in document["paths"].items():  # the deadline is of every route
            assert all("503" in each["responses"] for each in operations.values()), path


def test_a_client_that_goes_away_stops_its_search(shelf: Shelf, endless: Endless) -> None:
    with in_thread(library(shelf, TOY), max_concurrent=1) as http:
        until(lambda: status(http) == 200)
        with connected(http, "endless"):
            assert endless.begun.acquire(timeout=30)
        assert endless.ended.acquire(timeout=30)
        assert status(http) == 200
        until(lambda: counted(http, "499"))


@pytest.mark.parametrize(
    ("path", "kind", "begun"),
    [
        ("/search", "application/json", '{"query": '),
        ("/login", "application/json", '{"key": '),
        (
            "/search/upload",
            "multipart/form-data; boundary=b",
            '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\npiece',
        ),
    ],
)
def test_a_client_that_goes_away_amid_its_body_is_no_bug(
    path: str, kind: str, begun: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n"
    with in_thread(ServedLibrary(dict)) as http:
        with socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=30) as client:
            client.sendall(f"{head}{begun}".encode())
            until(lambda: "cinedex_in_flight 2.0" in http.get("/metrics").text)
        until(lambda: counted(http, "499", path))
        assert not counted(http, "400", path) and not counted(http, "500", path)
    assert not [record for record in caplog.records if record.getMessage() == "bug"]


def test_a_client_that_goes_away_while_it_waits_is_not_worked_for(shelf: Shelf, endless: Endless) -> None:
    with in_thread(library(shelf, TOY), max_concurrent=1, deadline_seconds=60) as http:
        until(lambda: status(http) == 200)
        with connected(http, "endless"):
            assert endless.begun.acquire(timeout=30)
            with connected(http, "endless"):
                until(lambda: "cinedex_places_taken 2.0" in http.get("/metrics").text)
            until(lambda: "cinedex_places_taken 1.0" in http.get("/metrics").text)
        assert endless.ended.acquire(timeout=30)
        assert status(http) == 200
        assert not endless.begun.acquire(blocking=False)


def test_a_client_that_goes_away_takes_its_text_out_of_the_batch(shelf: Shelf) -> None:
    encoder = Counting()
    with in_thread(library(shelf, encoder), cache_mb=0) as http:
        until(lambda: status(http) == 200)
        encoder.batches.clear()
        with connected(http, "slow") as first:
            assert encoder.entered.acquire(timeout=30)
            with connected(http, "green"):
                until(lambda: "cinedex_places_taken 2.0" in http.get("/metrics").text)
            until(lambda: "cinedex_places_taken 1.0" in http.get("/metrics").text)
            encoder.let_go.set()
            assert first.recv(12) == b"HTTP/1.1 200"
        assert status(http) == 200
        assert encoder.batches == [["slow"], ["red"]]


def test_a_deadline_holds_for_an_encoder_that_hangs_too(shelf: Shelf) -> None:
    encoder = Counting()
    with in_thread(library(shelf, encoder), deadline_seconds=0.3, max_waiting=0) as http:
        until(lambda: status(http) == 200)
        assert http.post("/search", json={"query": "slow"}).status_code == 503
        assert "cinedex_places_taken 0.0" in http.get("/metrics").text
        until(lambda: status(http) == 200)  # it is remembered; a slow machine may need a second deadline
        encoder.let_go.set()


def test_a_slow_body_is_not_counted_against_the_deadline(shelf: Shelf) -> None:
    with in_thread(library(shelf, TOY), deadline_seconds=2) as http:
        until(lambda: status(http) == 200)
        went_on = threading.Event()

        def body() -> Iterator[bytes]:
            yield b'{"query": '
            went_on.wait(2.5)
            yield b'"red"}'

        answer = http.post("/search", content=body())
        assert answer.status_code == 200


def test_a_search_looks_whether_it_is_wanted(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between parts, between the pieces of a part whose every row is read, between moments whose pictures are
    read, and between the videos of a sequence."""

    def unwanted() -> None:
        raise Unwanted

    from core.query import Part, Step
    from index.view import view_of

    searcher = Searcher("default", TOY, view_of(shelf.store))
    red, blue = (Part(text="red"),), (Part(text="blue"),)
    for module, asked in (
        ("index.merge", Query(red)),
        ("index.exact", Query(red, exact=True)),
        ("index.words", Query(red, mode="hybrid")),
        ("server.pictures", Query(red, weigh_frames=True)),
        ("server.sequence", Query((), steps=(Step(red), Step(blue)))),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(f"{module}.require_wanted", unwanted)
            with pytest.raises(Unwanted):
                searcher.answer(asked)
        assert searcher.answer(asked).results, module


def test_a_caption_that_nobody_waits_for_is_not_begun(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted() -> None:
        raise Unwanted

    from index.view import view_of
    from server.captioning import Planned, Writing

    plan = Planned(TOY.spec, TOY.spec.name, clips=((0.0, 1.0),))
    writing = Writing(plan, np.zeros((1, 8, 8, 3), np.uint8), beams=1)
    monkeypatch.setattr("server.captioning.require_wanted", unwanted)
    with pytest.raises(Unwanted):
        writing.advance(Searcher("default", TOY, view_of(shelf.store)), 1.0)
