"""What is like a stored video."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.server.conftest import Running
from tests.server.worlds import Shelf, id_of

RED = id_of("red-then-blue")


def similar(http: httpx.Client, id: str, **query: Any) -> dict[str, Any]:
    answer = http.get(f"/videos/{id}/similar", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ({}, {}),
        ({}, {"limit": 1}),
        ({}, {"level": "video"}),
        ({}, {"level": "frame", "limit": 3}),
        ({}, {"group_by": "video"}),
        ({"start": 12.0}, {}),
        ({"end": 4.0}, {"group_by": "video"}),
        ({"start": 1.0, "end": 6.5}, {"level": "frame"}),
    ],
)
def test_it_answers_as_a_search_for_that_video(
    any_server: Running, part: dict[str, Any], fields: dict[str, Any]
) -> None:
    found = similar(any_server.http, RED, **part, **fields)
    searched = any_server.search([{"video_id": RED, **part}], **fields).json()
    assert {**found, "took_ms": 0} == {**searched, "took_ms": 0}
    assert found["results"]


def test_its_pages_go_on_where_the_one_before_ended(sample_server: Running) -> None:
    first = similar(sample_server.http, RED, level="frame", limit=1)
    second = similar(sample_server.http, RED, level="frame", limit=1, cursor=first["next_cursor"])
    both = similar(sample_server.http, RED, level="frame", limit=2)
    assert [*first["results"], *second["results"]] == both["results"]


def test_a_video_is_not_like_itself_but_another_scene_of_it_may_be(sample_server: Running) -> None:
    whole = similar(sample_server.http, RED)
    assert RED not in {each["video_id"] for each in whole["results"]}
    scene = similar(sample_server.http, RED, start=16, limit=100)
    assert {each["video_id"] for each in scene["results"]} >= {RED, id_of("blue-then-white")}


def test_a_library_text_has_videos_that_are_like_it(sample_server: Running) -> None:
    found = similar(sample_server.http, id_of("something green", "t"), limit=1)
    assert found["results"][0]["video_id"] == id_of("green")


@pytest.mark.parametrize(
    ("id", "query", "status", "field"),
    [
        (id_of("nothing"), {}, 404, "video_id"),
        (RED, {"collection": "other"}, 404, "collection"),
        (RED, {"encoder": "other"}, 404, "encoder"),
        (RED, {"start": 100}, 400, "start"),
        (RED, {"start": 4, "end": 4}, 400, "end"),
        (RED, {"start": -1}, 400, "start"),
        (RED, {"start": "nan"}, 400, "start"),
        (RED, {"limit": 0}, 400, "limit"),
        (RED, {"limit": 1001}, 400, "limit"),
        (RED, {"level": "shot"}, 400, "level"),
        (RED, {"cursor": "x"}, 400, "cursor"),
        (RED, {"level": "video", "group_by": "none"}, 400, "group_by"),
        (RED, {"query": "red"}, 400, "query"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    sample_server: Running, id: str, query: dict[str, Any], status: int, field: str
) -> None:
    answer = sample_server.http.get(f"/videos/{id}/similar", params=query)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text


def test_a_video_that_is_there_without_rows_is_no_unknown_one(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    shelf.add({"too dark": [("black", 4)]}, kinds=())
    shelf.build()
    running = serve()
    for id, status, says in (
        (id_of("too dark"), 409, "has no clip or frame or text rows."),
        (id_of("nothing"), 404, "in this collection."),
    ):
        searched = running.search([{"video_id": id}])
        alike = running.http.get(f"/videos/{id}/similar")
        for answer, field in ((searched, "query[0].video_id"), (alike, "video_id")):
            error = answer.json()["error"]
            assert (answer.status_code, error["field"]) == (status, field), answer.text
            assert error["message"].endswith(says) and id in error["message"]
