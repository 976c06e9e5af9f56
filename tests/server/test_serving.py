"""What goes wrong inside: overload, bugs, encoders that do not fit, levels without rows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from torch import Tensor

from core.errors import EncoderError
from core.types import IntArray
from extractor.encoders.base import Encoder
from server.library import ServedLibrary
from tests.server.conftest import in_thread
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


def library(shelf: Shelf, encoder: Encoder) -> ServedLibrary:
    return ServedLibrary.of_data(shelf.library.data, lambda name: encoder)


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
        refused = http.post("/search", json={"query": "red"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"]["type"] == "too_many_requests"
        encoder.let_go.set()
        for asker in askers:
            asker.join()
        assert codes == [200, 200]
        assert status(http) == 200
        assert "cinedex_refused_total 1.0" in http.get("/metrics").text


def test_a_bug_is_answered_without_its_traceback_which_the_log_has(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Slow()
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: status(http) == 200)
        encoder.bug = RuntimeError("/secret/path")
        answer = http.post("/search", json={"query": "red"})
        held = answer.json()
        assert (answer.status_code, held["error"]["type"]) == (500, "internal")
        assert "secret" not in answer.text
        assert f"bug id={held['request_id']}" in caplog.text
        assert caplog.text.count("RuntimeError: /secret/path") == 1
        encoder.bug = None
        assert status(http) == 200


def test_a_long_text_is_said_to_be_cut(shelf: Shelf) -> None:
    with in_thread(library(shelf, Slow())) as http:
        until(lambda: status(http) == 200)
        assert http.post("/search", json={"query": "red " * 30}).json()["query_truncated"]


def test_an_encoder_that_does_not_fit_is_a_conflict(shelf: Shelf) -> None:
    encoder = Slow()
    encoder.spec = replace(TOY.spec, revision=2)
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: status(http) == 409)
        error = http.post("/search", json={"query": "red"}).json()["error"]
        assert error["type"] == "conflict"
        assert TOY.spec.fingerprint in error["message"] and encoder.spec.fingerprint in error["message"]
        ready = http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["collections"][0]["encoders"][0]["reason"] == error["message"]


def test_an_encoder_that_does_not_load_is_tried_again(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[str] = []

    def load(name: str) -> Encoder:
        tries.append(name)
        if len(tries) < 2:
            raise EncoderError("The weights are missing.")
        return TOY

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: http.get("/collections").json()["collections"] != [])
        answer = http.post("/search", json={"query": "red"})
        assert answer.status_code in (200, 503)
        until(lambda: status(http) == 200)
    assert caplog.text.count("The weights are missing.") == 1
    assert tries == ["toy:rgb", "toy:rgb"]


def test_while_it_loads_it_is_alive_and_not_ready(shelf: Shelf) -> None:
    loaded = threading.Event()

    def load(name: str) -> Encoder:
        assert loaded.wait(30)
        return TOY

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 503
        answer = http.post("/search", json={"query": "red"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (503, "The server is loading.")
        loaded.set()
        until(lambda: http.get("/readyz").status_code == 200)


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


def test_one_library_answers_the_same_for_one_store(tmp_path: Path) -> None:
    shelf = samples(tmp_path / "data")
    library = ServedLibrary.of_store(shelf.store.root, lambda name: TOY)
    library.look()
    assert library.default == "default"
    assert library.find("default", "toy:rgb").view.number == 1
