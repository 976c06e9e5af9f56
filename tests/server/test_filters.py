"""`filter` of POST /search over a real socket: what is kept, what is counted, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from server.refusals import sentence
from server.schemas.search import SearchAsked
from server.shown import query_of
from tests.server.conftest import Running
from tests.server.test_errors import refusal
from tests.server.test_search import BLUE, GREEN, RED, ask
from tests.server.worlds import Shelf, id_of, until

SEA = id_of("the blue sea", "t")


def found(server: Running, filter: Any, query: Any = "blue", **fields: Any) -> set[str]:
    return {result["video_id"] for result in ask(server, query, filter=filter, **fields)["results"]}


@pytest.mark.parametrize(
    ("filter", "videos"),
    [
        (None, {RED, GREEN, BLUE}),
        ({}, {RED, GREEN, BLUE}),
        ({"must": []}, {RED, GREEN, BLUE}),
        ({"root": "films"}, {RED, GREEN, BLUE}),
        ({"metadata.tag": "sample"}, {RED, GREEN, BLUE}),
        ({"metadata.tag": {"in": ["none"]}}, set()),
        ({"path": {"prefix": "films/blue-"}}, {BLUE}),
        ({"name": "green.mp4"}, {GREEN}),
        ({"name": {"in": ["green.mp4", "blue-then-white.mp4"]}}, {GREEN, BLUE}),
        ({"seconds": {"gte": 20}}, {RED, GREEN}),
        ({"seconds": {"gte": 17, "lte": 20.0}}, {GREEN}),
        ({"size": 5, "root": "films"}, {GREEN}),
        ({"codec": {"exists": False}}, {RED, GREEN, BLUE}),
        ({"must": [{"seconds": {"gte": 17}}], "must_not": [{"name": {"prefix": "red"}}]}, {GREEN}),
        ({"should": [{"seconds": 16}, {"seconds": 24, "size": {"gte": 1}}]}, {RED, BLUE}),
        ({"must_not": [{"should": [{"seconds": 16}, {"must": [{"seconds": 20}]}]}]}, {RED}),
        ({"start": {"gte": 12}}, {RED, GREEN}),
        ({"end": {"lte": 8}, "start": 0}, {RED, GREEN, BLUE}),
    ],
    ids=lambda given: str(sorted(given) if isinstance(given, set) else given),
)
def test_only_what_the_filter_keeps_is_found(sample_server: Running, filter: Any, videos: set[str]) -> None:
    assert found(sample_server, filter) == videos
    grouped = ask(sample_server, "blue", filter=filter, group_by="video", limit=50)
    assert {result["video_id"] for result in grouped["results"]} == videos
    assert grouped["total"] == {"value": len(videos), "relation": "eq"}


def test_seconds_of_a_video_are_looked_through_alone(sample_server: Running) -> None:
    filter = {"start": {"gte": 13}, "end": {"lte": 20}, "name": {"prefix": "red"}}
    answer = ask(sample_server, "blue", filter=filter, level="frame")
    assert [(r["start"], r["end"], r["best"]["t"]) for r in answer["results"]] == [(13.0, 20.0, 13.0)]


def test_texts_are_filtered_as_well(sample_server: Running) -> None:
    keyed = {"path": {"prefix": f"films/captions.txt#{SEA}"}}
    assert found(sample_server, keyed, "red", target="texts") == {SEA}
    assert found(sample_server, {"seconds": {"gte": 0}}, "red", target="texts") == set()


def test_a_video_that_is_asked_with_need_not_be_kept(sample_server: Running) -> None:
    assert found(sample_server, {"name": "green.mp4"}, [{"video_id": BLUE}]) == {GREEN}
    assert found(sample_server, {"name": "green.mp4"}, [{"video_id": GREEN}]) == set()


def test_a_copy_is_found_by_each_of_its_places_and_tags_change_without_embedding(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    shelf.copied("green", "other/green copy.mp4")
    shelf.add({"new": [("blue", 8)]}, columns='{"tags": ["sea", "sky"], "year": 2024}')
    shelf.build()
    server = serve()
    assert found(server, {"path": {"prefix": "films/other/"}}) == {GREEN}
    assert found(server, {"name": "green.mp4"}) == {GREEN}
    assert found(server, {"must_not": [{"path": {"prefix": "films/other/"}}]}) == {RED, BLUE, id_of("new")}
    assert found(server, {"metadata.tags": "sky"}) == {id_of("new")}
    assert found(server, {"metadata.year": {"gte": 2020}, "metadata.tags": "sea"}) == {id_of("new")}
    shelf.remove("new")
    shelf.build()
    until(lambda: server.search("blue", filter={"metadata.tags": "sky"}).status_code == 400)
    error = refusal(server, 400, "invalid_request", json={"query": "a", "filter": {"metadata.tags": "sky"}})
    assert error["field"] == "filter.metadata.tags"


def nested(deep: int) -> dict[str, Any]:
    found: dict[str, Any] = {"codec": "h264"}
    for _ in range(deep):
        found = {"must": [found]}
    return found


WRONG: list[tuple[Any, str, str]] = [
    ([], "filter", "must be an object."),
    ("codec", "filter", "must be an object (got 'codec')."),
    ({"must": {"codec": "h264"}}, "filter.must", ": input should be a valid list."),
    ({"must": ["codec"]}, "filter.must[0]", "must be an object (got 'codec')."),
    ({"should": []}, "filter.should", "at least 1 item"),
    ({"must": [], "codec": "h264"}, "filter", "has 'codec' beside must; it belongs into must."),
    ({"codec": None}, "filter.codec", "must be a value or an object of eq, in, gte, lte, prefix, exists."),
    ({"codec": ["h264"]}, "filter.codec", "must be a value or an object of eq"),
    ({"codec": {}}, "filter.codec", "must have at least one of eq, in, gte, lte, prefix, exists."),
    ({"codec": {"in": None, "eq": None}}, "filter.codec", "must have at least one of eq"),
    ({"codec": {"gt": 3}}, "filter.codec.gt", "is no test; there are eq, in, gte"),
    ({"seconds": {"gte": True}}, "filter.seconds.gte", "must be a number or a string"),
    ({"seconds": {"gte": float("nan")}}, "filter.seconds.gte", "must be a finite number"),
    ({"seconds": {"lte": 2**63}}, "filter.seconds.lte", "an integer one of 64 bits"),
    ({"seconds": {"in": [1, float("inf")]}}, "filter.seconds.in[1]", "must be a finite number"),
    ({"seconds": 10**4000}, "filter.seconds", "an integer one of 64 bits"),
    ({"codec": {"prefix": 264}}, "filter.codec.prefix", "valid string"),
    ({"codec": {"exists": "yes"}}, "filter.codec.exists", "valid boolean"),
    ({"name": "\ud800"}, "filter.name", "without lone surrogates"),
    ({"name": {"in": ["\udfff"]}}, "filter.name.in[0]", "without lone surrogates"),
    ({"name": {"prefix": "\ud800"}}, "filter.name.prefix", "without lone surrogates"),
    ({"\ud800": "x"}, "filter", "Unicode"),
    ({"name": "x" * 4_097}, "filter.name", "must have at most 4,096 characters (has 4,097)"),
    ({"x" * 201: 1}, "filter", "has a column's name of more than 200 characters."),
    ({"name": {"in": ["x"] * 1_001}}, "filter.name.in", "at most 1000 items"),
    ({"name": {"in": ["x", ["y"]]}}, "filter.name.in[1]", "must be a string, a number or a boolean."),
    ({"must": [{"root": "x"}] * 65}, "filter", "must have at most 64 conditions."),
    ({"must": [{}] * 100_000}, "filter", "must have at most 64 conditions."),
    ({"must": [{"must": [{}] * 30}] * 30}, "filter", "must have at most 64 conditions."),
    (nested(5), "filter", "must be at most 4 deep."),
    (nested(200), "filter", "must be at most 4 deep."),
    ({"secnds": 3}, "filter.secnds", "is no column here; there are root, path, name, created, seconds"),
    ({"must": [{"root": "films"}, {"tag": "a"}]}, "filter.must[1].tag", "did you mean 'metadata.tag'?"),
    ({"must_not": [{"metadata.none": 1}]}, "filter.must_not[0].metadata.none", "is no column here"),
    ({"should": [{"seconds": {"gte": "3"}}]}, "filter.should[0].seconds.gte", "must be a number (got '3')."),
    ({"metadata.tag": 3}, "filter.metadata.tag", "is a text, so this must be a string (got 3)."),
    ({"created": {"gte": "soon"}}, "filter.created.gte", "must be a date as 2026-03-01"),
    ({"size": {"prefix": "1"}}, "filter.size.prefix", "a number takes eq, in, gte, lte, exists."),
]


@pytest.mark.parametrize(("filter", "field", "says"), WRONG, ids=lambda value: ascii(value)[:40])
@pytest.mark.parametrize("target", ["videos", "texts"])
def test_a_wrong_filter_is_refused_and_the_place_named(
    sample_server: Running, filter: Any, field: str, says: str, target: str
) -> None:
    body = json.dumps({"query": "red", "filter": filter, "target": target})
    error = refusal(sample_server, 400, "invalid_request", content=body)
    assert error["field"] == field
    assert error["message"].startswith(field) and says in error["message"]
    assert len(error["message"]) < 400


ODD = (
    "must",
    "should",
    "must_not",
    "eq",
    "in",
    "in_",
    "gte",
    "exists",
    "model_fields",
    "__class__",
    "<x>",
    "",
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))


def json_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.one_of(st.sampled_from([*ODD, "codec", "metadata.tag"]), st.text(max_size=3))
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3))


@settings(max_examples=300)
@given(filter=st.recursive(PLAIN, json_of, max_leaves=12))
def test_whatever_is_sent_is_a_filter_or_one_sentence(filter: Any) -> None:
    try:
        asked = query_of(SearchAsked.model_validate({"query": "red", "filter": filter}))
    except ValidationError as error:
        found = error.errors()[0]
        message, field = sentence({**found, "loc": ("body", *found["loc"])}, SearchAsked)
        assert field is not None and field.startswith("filter")
        assert message.startswith(field) and message[-1] in ".?"
    else:
        assert asked.where is None or hash(asked.where) == hash(replace(asked.where))
