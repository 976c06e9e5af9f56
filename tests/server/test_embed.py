"""POST /embed: texts and pictures as vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from server.library import ServedLibrary
from tests.server.conftest import in_thread
from tests.server.sent import base64_of, picture
from tests.server.worlds import samples, until, vector


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("embed") / "data"
    samples(data)
    with in_thread(ServedLibrary.of_data(data)) as client:
        until(lambda: client.get("/readyz").status_code == 200, 60)
        yield client


def embedded(http: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = http.post("/embed", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert (
        set(found) == {"vectors", "encoder", "encoder_notice", "truncated"} and found["encoder"] == "toy:rgb"
    )
    return found


def test_texts_have_the_vectors_that_they_are_searched_with(http: httpx.Client) -> None:
    texts = ["red", "a green and blue thing", "red"]
    found = embedded(http, texts=texts)
    assert np.array_equal(np.array(found["vectors"], np.float32), np.stack([*map(vector, texts)]))
    assert found["truncated"] == [False] * 3
    for text, sent in zip(texts, found["vectors"], strict=True):
        plain, mine = (
            http.post("/search", json={"query": query, "mode": "visual"}).json()
            for query in (text, [{"vector": sent}])
        )
        assert [r["score"] for r in plain["results"]] == [r["score"] for r in mine["results"]]


def test_pictures_have_vectors_in_their_order(http: httpx.Client) -> None:
    colours = ["#ff0000", "#00ff00", "#0000ff", "#ffffff"] * 5
    found = embedded(http, images=[base64_of(picture(colour)) for colour in colours], collection="default")
    wanted = np.stack([*map(vector, ["red", "green", "blue", "white"] * 5)])
    assert np.array_equal(np.array(found["vectors"], np.float32), wanted)
    assert found["truncated"] == [False] * 20


BAD: list[tuple[Any, int, str | None]] = [
    ({}, 400, None),
    ({"texts": ["a"], "images": ["YQ=="]}, 400, None),
    ({"texts": []}, 400, "texts"),
    ({"texts": ["a"] * 65}, 400, "texts"),
    ({"texts": "a"}, 400, "texts"),
    ({"texts": ["a", ""]}, 400, "texts[1]"),
    ({"texts": ["a", 5]}, 400, "texts[1]"),
    ({"images": ["%"]}, 400, "images[0]"),
    ({"images": []}, 400, "images"),
    ({"images": [base64_of(picture("red")), "aGVsbG8="]}, 422, "images[1]"),
    ({"texts": ["a"], "encoder": "toy:other"}, 404, "encoder"),
    ({"images": ["aGVsbG8="], "collection": "others"}, 404, "collection"),
]


@pytest.mark.parametrize(("body", "status", "field"), BAD, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_named(http: httpx.Client, body: Any, status: int, field: str | None) -> None:
    answer = http.post("/embed", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize("body", [{}, {"texts": ["a"], "images": ["YQ=="]}])
def test_what_is_wrong_with_all_of_a_body_is_told(http: httpx.Client, body: Any) -> None:
    message = http.post("/embed", json=body).json()["error"]["message"]
    assert message == "The body must have exactly one of texts and images."
