"""What is asked again, when, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from cinedex_client import (
    ApiError,
    Client,
    ClientError,
    TimedOut,
    TooManyRequests,
    Unavailable,
    Unreachable,
)

from tests.client.conftest import Ask, Reply, Scripted

Start = Callable[..., Scripted]
ANSWER = {
    "results": [],
    "total": {"value": 0, "relation": "eq"},
    "collection": "default",
    "encoder": "toy:rgb",
    "snapshot": 1,
    "took_ms": {"total": 1, "encode": 0, "search": 0, "look_up": 0},
}
FOUND = Reply(body=json.dumps(ANSWER).encode())


def refusal(status: int, type: str, **headers: str) -> Reply:
    body = {"error": {"type": type, "message": "Not now.", "field": None}, "request_id": "r1"}
    return Reply(status, json.dumps(body).encode(), headers)


FULL = refusal(429, "too_many_requests", **{"retry-after": "2"})
DOWN = refusal(503, "unavailable")
LOST = Reply(body=FOUND.body, cut=9)


@pytest.mark.parametrize("problem", [FULL, DOWN, LOST], ids=["full", "down", "lost"])
def test_a_search_is_asked_again(scripted: Start, ask: Ask, waits: list[float], problem: Reply) -> None:
    server = scripted(problem, problem, FOUND)
    assert ask(server.url, "search", "red").total.value == 0
    assert server.times == 3 and len(waits) == 2
    assert len({body for _, _, _, body in server.heard}) == 1


def test_the_server_says_when_and_else_waits_grow(scripted: Start, ask: Ask, waits: list[float]) -> None:
    ask(scripted(FULL, DOWN, DOWN, FOUND).url, "search", "red")
    assert 2 <= waits[0] <= 2.25
    assert 0.25 <= waits[1] <= 0.5 <= waits[2] <= 1


def test_it_ends_after_as_many_tries_as_were_said(scripted: Start, ask: Ask, waits: list[float]) -> None:
    server = scripted(FULL)
    with pytest.raises(TooManyRequests) as caught:
        ask(server.url, "search", "red", settings={"retries": 1})
    assert (caught.value.status, caught.value.retry_after_s, caught.value.request_id) == (429, 2.0, "r1")
    assert server.times == 2
    assert len(waits) == 1


def test_who_says_to_come_in_an_hour_is_not_waited_for(scripted: Start, ask: Ask, waits: list[float]) -> None:
    with pytest.raises(Unavailable) as caught:
        ask(scripted(refusal(503, "unavailable", **{"retry-after": "3600"})).url, "search", "red")
    assert caught.value.retry_after_s == 3600 and waits == []


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
def test_what_will_not_change_is_not_asked_again(
    scripted: Start, ask: Ask, waits: list[float], status: int
) -> None:
    server = scripted(refusal(status, "any"))
    with pytest.raises(ApiError):
        ask(server.url, "search", "red")
    assert server.times == 1 and waits == []


def test_nobody_there_is_tried_again_and_then_told(ask: Ask, waits: list[float]) -> None:
    with pytest.raises(Unreachable, match=r"^http://127.0.0.1:1 does not answer: .+"):
        ask("http://127.0.0.1:1", "search", "red")
    assert len(waits) == 3
    with pytest.raises(Unreachable):
        ask("http://127.0.0.1:1", "ready")
    assert not ask("http://127.0.0.1:1", "health")
    assert len(waits) == 3  # whoever asks these asks again anyway


@pytest.mark.parametrize(
    ("problem", "times"), [(FULL, 2), (DOWN, 1), (LOST, 1)], ids=["full", "down", "lost"]
)
def test_what_changes_something_is_sent_again_only_where_nothing_was_done(
    scripted: Start, ask: Ask, waits: list[float], problem: Reply, times: int
) -> None:
    server = scripted(problem, Reply(204, b""))
    if times == 2:
        ask(server.url, "delete", "v-1", collection="films")
    else:
        with pytest.raises(ClientError):
            ask(server.url, "delete", "v-1", collection="films")
    assert [(method, path) for method, path, *_ in server.heard] == [
        ("DELETE", "/videos/v-1?collection=films")
    ] * times


def test_what_takes_too_long_is_told_and_not_asked_again(waits: list[float]) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    with Client(transport=httpx.MockTransport(slow)) as client, pytest.raises(TimedOut, match="in time"):
        client.search("red")
    assert waits == []


def test_an_upload_is_sent_whole_each_time(scripted: Start, ask: Ask, waits: list[float]) -> None:
    server = scripted(DOWN, FOUND)
    ask(server.url, "upload", b"bytes of a picture", limit=3)
    for _, path, _, body in server.heard:
        assert path == "/search/upload"
        assert b"bytes of a picture" in body and b'{"limit": 3}' in body
