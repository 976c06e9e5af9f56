"""What goes wrong inside: overload, bugs, encoders that do not fit, levels without rows."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from torch import Tensor

from core import logs
from core.errors import EncoderError
from core.query import Hits, Part, Query
from core.types import Float32Array, IntArray, Kind
from extractor.encoders.base import Encoder
from index.snapshot import Snapshot
from index.view import view_of
from server import ranking, searcher
from server.gate import LOGIN, PLACED, UPLOAD
from server.library import ServedLibrary
from server.shown import as_sent, shown
from tests.server.conftest import ROOT, in_thread
from tests.server.test_follow import status
from tests.server.worlds import TOY, Scenes, Shelf, id_of, samples, until


class Slow:
    """toy:rgb, held up until it is let go, or made to fail."""

    def __init__(self) -> None:
        self.spec = TOY.spec
        self.let_go = threading.Event()
        self.entered = threading.Semaphore(0)
        self.bug: Exception | None = None

    def features(self, pictures: Tensor) -> Tensor:
        return TOY.features(pictures)

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        return TOY.clips(features, index)

    def texts(self, texts: Sequence[str]) -> Tensor:
        if list(texts) == ["slow"]:
            self.entered.release()
            assert self.let_go.wait(30)
        if self.bug and list(texts) != ["warm"]:
            raise self.bug
        return TOY.texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [len(text) > 100 for text in texts]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, as people see it: with the request that each line is about."""
    caplog.handler.setFormatter(logs._Text(logs._TEXT))
    return caplog


def library(shelf: Shelf, encoder: Encoder) -> ServedLibrary:
    return ServedLibrary.of_data(shelf.library.data, lambda spec: encoder)


def test_overload_is_told_at_once_to_come_again_and_passes(shelf: Shelf) -> None:
    encoder = Slow()
    with in_thread(library(shelf, encoder), max_concurrent=1, max_waiting=1) as http:
        until(lambda: status(http) == 200)
        codes: list[int] = []

        def ask() -> None:
            answer = httpx.post(f"{http.base_url}/search", json={"query": "slow"}, timeout=30)
            codes.append(answer.status_code)

        askers = [threading.Thread(target=ask) for _ in range(2)]
        askers[0].start()
        assert encoder.entered.acquire(timeout=30)
        askers[1].start()
        until(lambda: "cinedex_in_flight 3.0" in http.get("/metrics").text)
        for path in (*PLACED,) * 3:  # while the encoder is held, and who was let in waits for it
            assert " 429 " in answer_to_a_head(http, path)
        refused = http.post("/search", json={"query": "red"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert not codes
        assert refused.json()["error"]["type"] == "too_many_requests"
        encoder.let_go.set()
        for asker in askers:
            asker.join()
        assert codes == [200, 200]
        assert status(http) == 200
        metrics = http.get("/metrics").text
        assert f"cinedex_refused_total {3 * len(PLACED) + 1}.0" in metrics
        assert 'cinedex_requests_total{method="POST",route="/search",status="429"} 4.0' in metrics


def answer_to_a_head(http: httpx.Client, path: str) -> str:
    """The first line of what a request is told whose body never comes."""
    kind = "multipart/form-data; boundary=x" if path == UPLOAD else "application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=30) as raw:
        raw.sendall(head.encode())
        return raw.recv(4096).decode().partition("\r\n")[0]


def test_what_may_be_told_to_come_again_needs_a_place_from_the_start() -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    told = {path for path, each in paths.items() if "429" in each.get("post", {}).get("responses", {})}
    assert told == PLACED | {LOGIN}  # keys are tried without a place


def test_a_bug_is_answered_without_its_traceback_which_the_log_has(
    shelf: Shelf, lines: pytest.LogCaptureFixture
) -> None:
    encoder = Slow()
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: status(http) == 200)
        encoder.bug = RuntimeError("/secret/path")
        answer = http.post("/search", json={"query": "blue"})
        held = answer.json()
        assert (answer.status_code, held["error"]["type"]) == (500, "internal")
        assert "secret" not in answer.text
        assert f"bug request_id={held['request_id']}" in lines.text
        assert lines.text.count("RuntimeError: /secret/path") == 1
        encoder.bug = None
        assert status(http) == 200


def test_an_answer_names_no_file_when_the_store_is_damaged(
    shelf: Shelf, lines: pytest.LogCaptureFixture
) -> None:
    with in_thread(library(shelf, TOY)) as http:
        until(lambda: status(http) == 200)
        for path in shelf.store.root.glob("shards/*/clip.npy"):
            path.unlink()
        answer = http.post("/search", json={"query": [{"video_id": id_of("green")}]})
    held = answer.json()
    assert (answer.status_code, held["error"]["type"]) == (503, "unavailable")
    assert held["error"]["message"] == "The store cannot be read; the log has it by the id."
    assert "clip.npy cannot be read" in lines.text and f"request_id={held['request_id']}" in lines.text


def test_an_encoder_that_cannot_answer_is_told_without_its_reason(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Slow()
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: status(http) == 200)
        encoder.bug = EncoderError("/secret/weights are missing.")
        answer = http.post("/search", json={"query": "blue"})
    message = "The encoder cannot answer; the log has it by the id."
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, message)
    assert "/secret/weights are missing." in caplog.text


def test_a_bug_of_the_gate_itself_is_answered_in_shape(
    shelf: Shelf, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("server.gate.malformed", broken)
    with in_thread(library(shelf, TOY)) as http:
        answer = http.post("/search", json={})
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal")
    assert "secret" not in answer.text
    assert f"bug request_id={answer.json()['request_id']}" in lines.text


def test_a_large_answer_is_written_beside_the_event_loop(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, let_go = threading.Event(), threading.Event()

    def slowly(answer: searcher.Answer, body: str) -> bytes:
        writing.set()
        assert let_go.wait(30)
        return as_sent(answer, body)

    with in_thread(library(shelf, TOY)) as http:
        until(lambda: status(http) == 200)
        monkeypatch.setattr("server.routes.search.as_sent", slowly)
        asker = threading.Thread(target=status, args=(http,))
        asker.start()
        assert writing.wait(30)
        assert http.get("/healthz").status_code == 200
        let_go.set()
        asker.join()


def test_what_is_sent_is_what_is_shown(shelf: Shelf) -> None:
    view = view_of(shelf.store)
    for by_video in (False, True):
        asked = Query((Part(text="red"),), by_video=by_video)
        answer = searcher.Searcher("default", TOY, view).answer(asked)
        assert json.loads(as_sent(answer)) == shown(answer).model_dump()


def test_a_long_text_is_said_to_be_cut(shelf: Shelf) -> None:
    with in_thread(library(shelf, Slow())) as http:
        until(lambda: status(http) == 200)
        assert http.post("/search", json={"query": "red " * 30}).json()["query_truncated"]


def test_a_level_without_rows_is_a_conflict_and_a_library_without_rows_has_no_results(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add(texts=["a red thing"])
    shelf.build()
    with in_thread(library(shelf, TOY)) as http:
        until(lambda: status(http) == 200)
        answer = http.post("/search", json={"query": "red", "level": "frame"}).json()
        assert (answer["results"], answer["total"]) == ([], {"value": 0, "relation": "eq"})
        shelf.add({"video": [("red", 12)]}, kinds=["clip"])
        shelf.build()
        until(lambda: status(http, level="frame") == 409)
        best = http.post("/search", json={"query": "red"}).json()["results"][0]
        assert best["best"]["t"] == 4.0  # the middle of its best row, since no pictures are stored


def test_parts_that_cancel_each_other_out_are_refused(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"video": [("red", 12)]})
    shelf.build()

    class Opposite(Slow):
        def texts(self, texts: Sequence[str]) -> Tensor:
            return -TOY.texts(texts) if "not" in texts[0] else TOY.texts(texts)

    with in_thread(library(shelf, Opposite())) as http:
        until(lambda: status(http) == 200)
        query = [{"text": "not red"}, {"video_id": id_of("video")}]
        answer = http.post("/search", json={"query": query})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "query")


def test_smaller_limits_can_be_set(shelf: Shelf) -> None:
    allowed = ["cinedex.example"]
    with in_thread(library(shelf, TOY), max_body_mb=0.001, allowed_hosts=allowed) as http:
        until(lambda: status(http) == 200)
        assert http.post("/search", json={"query": "x" * 1_100}).status_code == 413
        assert http.get("/healthz", headers={"host": "Cinedex.example"}).status_code == 200
        assert http.get("/healthz", headers={"host": "evil.example"}).status_code == 403


def test_more_rows_are_looked_at_until_there_are_enough_results(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    long: dict[str, Scenes] = {f"long-{n}": [("red", 150)] for n in range(2)}
    shelf.add(long | {f"short-{n}": [("pink", 4)] for n in range(3)})
    shelf.build()
    with in_thread(library(shelf, TOY)) as http:
        until(lambda: status(http) == 200)
        sent = {"query": "red", "level": "frame", "group_by": "video"}
        answer = http.post("/search", json=sent | {"limit": 2}).json()
        assert len(answer["results"]) == 2
        assert answer["total"] == {"value": 2, "relation": "gte"}
        answer = http.post("/search", json=sent | {"limit": 5}).json()
        assert len(answer["results"]) == 5
        assert answer["total"] == {"value": 5, "relation": "eq"}


def all_red(data: Path, **seconds: int) -> Shelf:
    """Videos of so many seconds."""
    shelf = Shelf.make(data)
    shelf.add({name: [("red", length)] for name, length in seconds.items()})
    shelf.build()
    return shelf


def asked_of(
    shelf: Shelf, query: Query, monkeypatch: pytest.MonkeyPatch
) -> tuple[searcher.Answer, list[int]]:
    """The answer, and how many rows were asked for each time."""
    ks: list[int] = []
    search = Snapshot.search

    def counted(self: Snapshot, kind: Kind, vectors: Float32Array, k: int, **more: Any) -> list[Hits]:
        ks.append(k)
        return search(self, kind, vectors, k, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "search", counted)
        return searcher.Searcher("default", TOY, view_of(shelf.store)).answer(query), ks


def test_no_more_rows_are_read_once_every_video_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = all_red(tmp_path / "data", one=150, other=150, third=600)
    shelf.remove("third")
    shelf.add(texts=["red"])
    shelf.build()
    shelf.remove("other")
    asked = Query((Part(text="red"),), kind="frame", by_video=True)
    answer, ks = asked_of(shelf, asked, monkeypatch)
    assert (len(answer.results), answer.total, answer.is_all, ks) == (1, 1, True, [150])
    shelf.remove("other", undo=True)
    answer, ks = asked_of(shelf, asked, monkeypatch)
    assert (len(answer.results), answer.total, answer.is_all, ks) == (2, 2, True, [256])


def test_no_more_rows_are_read_than_a_request_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "LOOK_AT_MOST", 1_500)
    shelf = all_red(tmp_path / "data", long=3_000)
    answer, ks = asked_of(shelf, Query((Part(text="red"),), kind="frame"), monkeypatch)
    assert (len(answer.results), answer.total, answer.is_all) == (1, 1, False)
    assert ks == [256, 1_024, 1_500]


def test_rows_that_were_asked_with_do_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "LOOK_AT_MOST", 256)
    shelf = all_red(tmp_path / "data", a=300, b=300, c=300)
    parts = (Part(source=id_of("a"), start=0.0), Part(source=id_of("b"), start=0.0))
    answer, ks = asked_of(shelf, Query(parts, kind="frame"), monkeypatch)
    assert [found.moment.source for (found,) in answer.results] == [id_of("c")]
    assert ks == [256 + 600]  # those that were asked with are no rows that were looked at
    parts = (Part(source=id_of("a")), Part(source=id_of("b")))
    answer, ks = asked_of(shelf, Query(parts, kind="frame"), monkeypatch)
    assert [found.moment.source for (found,) in answer.results] == [id_of("c")]
    assert len(ks) == 1


def test_one_library_answers_the_same_for_one_store(tmp_path: Path) -> None:
    shelf = samples(tmp_path / "data")
    library = ServedLibrary.of_store(shelf.store.root, lambda spec: TOY)
    library.look()
    assert library.default == "default"
    until(lambda: library.offers["default"][0].seen.problem is None)
    assert library.find("default", "toy:rgb").view.number == 1
