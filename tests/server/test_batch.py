"""POST /search/batch: as if each were alone."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from torch import Tensor

from core.errors import EncoderError
from extractor.media import isolated
from server.paging import Page
from server.routes import batch
from server.searcher import Searcher, Took
from server.spent import Spent
from tests.server.conftest import Running, in_thread
from tests.server.held import Decoders
from tests.server.sent import base64_of, picture
from tests.server.test_errors import refusal
from tests.server.test_serving import Slow, library
from tests.server.worlds import TOY, Shelf, id_of, until

SEQUENCE = [{"query": "red"}, {"query": "blue"}]


def answers(http: httpx.Client, *requests: Any) -> list[dict[str, Any]]:
    answer = http.post("/search/batch", json={"requests": requests})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["answers"]
    return found


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("took_ms", "request_id")}


def test_each_is_answered_as_it_would_be_alone_and_in_order(sample_server: Running) -> None:
    one = {"query": "blue", "limit": 1}
    cursor = sample_server.http.post("/search", json=one).json()["next_cursor"]
    requests: list[Any] = [
        *({"query": "red"}, {"query": "red", "limit": 0}, one, one | {"cursor": cursor}, {"query": 5}, 7),
        *({"sequence": SEQUENCE, "within_s": 9}, {"query": "red", "collection": "none"}),
        {"query": [{"text": "red"}, {"video_id": id_of("none")}]},
        {"query": [{"text": "red"}, {"text": "blue"}], "group_by": "video"},
        *({"query": "red", "cursor": "x"}, {"query": "red", "encoder_options": {"w": 1}}, {"qeury": "x"}),
        {"query": "red", "mode": "text"},
    ]
    found = answers(sample_server.http, *requests)
    for request, answer in zip(requests, found, strict=True):
        alone = sample_server.http.post("/search", json=request).json()
        assert without_times(answer) == without_times(alone), request
    assert sum("error" in answer for answer in found) == 8
    assert found[1]["error"]["field"] == "limit"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [{"query": "red"}] * 65}, "requests"),
        ({"requests": {"query": "red"}}, "requests"),
        ({"requests": [], "more": 1}, "requests"),
        ([], None),
    ],
)
def test_what_is_no_batch_is_refused_whole(sample_server: Running, body: Any, field: str | None) -> None:
    error = refusal(sample_server, 400, "invalid_request", path="/search/batch", content=json.dumps(body))
    assert error["field"] == field


def test_nothing_but_mistakes_takes_no_slot(sample_server: Running) -> None:
    found = answers(sample_server.http, *[{"query": ""}] * 64)
    assert all(answer["error"]["field"] == "query" for answer in found)


class Counting(Slow):
    """How many texts it is asked for each time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def texts(self, texts: Sequence[str]) -> Tensor:
        self.calls.append(list(texts))
        return super().texts(texts)


def test_texts_of_all_are_encoded_in_one_call(shelf: Shelf) -> None:
    encoder = Counting()
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        encoder.calls.clear()
        two = [{"text": "red"}, {"text": "white"}]
        found = answers(http, {"query": "red"}, {"query": two}, {"sequence": SEQUENCE}, {"query": "red"})
        assert all("results" in answer for answer in found)
        assert encoder.calls == [["red", "white", "blue"]]
        encoder.bug = EncoderError("toy:rgb reads no texts.")
        errors = answers(http, {"query": "a green one"}, {"query": [{"video_id": id_of("green")}]})
        assert errors[0]["error"]["type"] == "unavailable" and errors[1]["results"]


def test_others_come_in_between(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    is_begun, let_go = threading.Event(), threading.Event()
    answered = batch._answered

    def slowly(searcher: Searcher, page: Page, ahead: batch.Ahead) -> tuple[Took, bytes]:
        is_begun.set()
        assert let_go.wait(30)
        found = answered(searcher, page, ahead)
        done.append("batch")
        return found

    monkeypatch.setattr(batch, "_answered", slowly)
    with in_thread(library(shelf, TOY), max_concurrent=1, max_waiting=1) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        many = threading.Thread(target=answers, args=(http, *[{"query": "red"}] * 64))
        many.start()
        assert is_begun.wait(30)

        def alone() -> None:
            assert http.post("/search", json={"query": "blue"}).status_code == 200
            done.append("alone")

        other = threading.Thread(target=alone)
        other.start()
        until(lambda: "cinedex_in_flight 3.0" in http.get("/metrics").text)
        refused = http.post("/search/batch", json={"requests": [{"query": "red"}]})
        let_go.set()
        many.join(30)
        other.join(30)
    assert done.count("batch") == 64, "who was let in is not refused for want of a place"
    assert done.index("alone") < 60
    assert refused.status_code in (200, 429)


def of_pictures(*pictures: bytes) -> dict[str, Any]:
    return {"query": [{"image": base64_of(each)} for each in pictures]}


def test_a_batch_has_so_many_pictures_in_all(sample_server: Running) -> None:
    red = picture("#d62024")
    some = [of_pictures(*[red] * 16)] * 8
    assert all("results" in answer for answer in answers(sample_server.http, *some))
    body = json.dumps({"requests": [*some, of_pictures(red)]})
    error = refusal(sample_server, 400, "invalid_request", path="/search/batch", content=body)
    assert error["field"] == "requests" and "there are 129 pictures" in error["message"]


def test_all_that_a_batch_sends_is_decoded_within_one_requests_seconds(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = list[float]()
    call = isolated.call

    def called(limit: isolated.Limits, *rest: Any) -> Any:
        limits.append(limit.wall_s)
        return call(limit, *rest)

    monkeypatch.setattr(isolated, "call", called)
    with in_thread(library(shelf, TOY), decode_seconds=60) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        found = answers(http, *[of_pictures(picture("#d62024"))] * 3, {"query": "red"})
    assert all("results" in answer for answer in found)
    assert 60 == limits[0] > limits[1] > limits[2] > 0


def test_a_body_for_which_no_seconds_are_left_is_refused_by_itself(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, decoders: Decoders
) -> None:
    decoders.signals.append(signal.SIGSTOP)
    monkeypatch.setattr(batch, "Spent", lambda: Spent(decoding_s=60, fetching_s=60))
    with in_thread(library(shelf, TOY), image_hosts=["example.org"]) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        elsewhere = {"query": [{"image_url": "http://example.org/red.png"}]}
        found = answers(http, of_pictures(picture("#d62024")), elsewhere, {"query": "red"})
    assert [answer["error"]["type"] for answer in found[:2]] == ["undecodable_media"] * 2
    assert "takes longer" in found[0]["error"]["message"]
    assert "did not come within" in found[1]["error"]["message"]
    assert found[2]["results"]


def test_a_batch_that_was_let_in_is_not_refused_for_want_of_a_decoder(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()
    call = isolated.call

    def called(limit: isolated.Limits, *rest: Any) -> Any:
        begun.set()
        assert let_go.wait(30)
        return call(limit, *rest)

    with in_thread(library(shelf, TOY), max_decoding=1, max_waiting=0, max_concurrent=2) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        alone = of_pictures(picture("#d62024"))
        monkeypatch.setattr(isolated, "call", called)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(http.post, "/search", json=alone)
            assert begun.wait(30)
            text_first = pool.submit(answers, http, {"query": "red"}, alone)
            until(lambda: 'cinedex_stage_seconds_count{stage="search"} 1.0' in http.get("/metrics").text)
            whole = http.post("/search/batch", json={"requests": [alone]})
            let_go.set()
            assert first.result(30).status_code == 200
            assert all("results" in answer for answer in text_first.result(30))
        assert whole.status_code == 429
