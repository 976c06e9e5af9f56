"""Bodies of many bytes."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from server import bodies
from tests.server.conftest import Running, in_thread
from tests.server.test_errors import refusal
from tests.server.test_serving import library
from tests.server.worlds import TOY, Shelf, until

PADDING = " " * bodies.LARGE


def test_others_are_answered_while_a_large_body_is_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def slowly(text: str) -> float:
        begun.set()
        assert let_go.wait(30)
        return float(text)

    with in_thread(library(shelf, TOY)) as http, ThreadPoolExecutor(1) as pool:
        until(lambda: http.get("/readyz").status_code == 200)
        monkeypatch.setattr(bodies, "_float", slowly)
        body = '{"query": "red", "pad_s": 0.5}' + PADDING
        large = pool.submit(http.post, "/search", content=body)
        assert begun.wait(30)
        assert http.get("/healthz").status_code == 200
        let_go.set()
        assert large.result(30).json()["results"]


@pytest.mark.parametrize(
    "body",
    [
        '{"query": }',
        '{"query": "red"',
        "[1, 2]",
        '{"query": "red", "limit": 1e9}',
        '{"q": ' + "9" * 5_000,
        '{"query": "red", "filter": {"a": 1, "a": 2}}',
    ],
)
def test_what_is_wrong_with_a_large_body_is_told_as_of_a_small_one(sample_server: Running, body: str) -> None:
    small = refusal(sample_server, 400, "invalid_request", path="/search", content=body)
    large = refusal(sample_server, 400, "invalid_request", path="/search", content=PADDING + body)
    assert large["field"] == small["field"]
    (said, place), (known, at) = (_parted(each["message"]) for each in (large, small))
    assert said == known and place == (None if at is None else at + len(PADDING))


def test_a_field_that_is_there_twice_is_refused(sample_server: Running) -> None:
    """One value would win, and a filter with two would leave one out."""
    body = '{"query": "red", "filter": {"color": "red", "size": 1, "color": "blue"}}'
    told = refusal(sample_server, 400, "invalid_request", path="/search", content=body)["message"]
    assert told == "The body has the field 'color' twice in one object."
    long = '{"%s": 1, "%s": 2}' % (("x" * 100_000,) * 2)
    assert len(refusal(sample_server, 400, "invalid_request", path="/search", content=long)["message"]) < 300


def _parted(message: str) -> tuple[str, int | None]:
    """What a refusal says, and which character it names."""
    found = re.search(r"at character (\d+)", message)
    return re.sub(r"at character \d+", "", message), int(found[1]) if found else None


@pytest.mark.parametrize("piece", ["[]", '{"a":1}'])
def test_what_is_nothing_but_nested_is_too_large(sample_server: Running, piece: str) -> None:
    body = json.dumps({"requests": []})[:-2] + ",".join([piece] * bodies.MOST_NESTED) + "]}"
    error = refusal(sample_server, 413, "too_large", path="/search/batch", content=body)
    assert error["message"] == "The body has more than 262,144 lists, objects and fields."
