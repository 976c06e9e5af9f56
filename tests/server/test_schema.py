"""Schemathesis over the whole of docs/openapi.json: requests made from the schema, answers held to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from tests.server.conftest import Running
from tests.server.filmed import id_at
from tests.server.worlds import id_of

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
# Whose bodies are all like those of /search, and so many that they are tried by the slow suite.
LARGE = "^/search$|^/search/|^/export$"

ANSWER_S = 100  # what decodes files is loaded first; the server answers within 90 s in any case

load_all_checks()


def closed(document: Any) -> Any:
    """The same where an answer that has a field that is not told is wrong."""
    for held in document["components"]["schemas"].values():
        if "properties" in held:
            held.setdefault("additionalProperties", False)
    return document


def schema_of(*, has_coverage: bool) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_dict(closed(json.loads(json.dumps(DOCUMENT))))
    schema.config.phases.coverage.enabled = has_coverage
    schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
    return schema


def held(examples: int) -> Callable[[Any], Any]:
    """So many of each operation, the same each time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def is_told(context: Any, answer: Any, case: Any) -> None:
    """Its status is one of the operation's own, not just `default`; an error has the shape of all."""
    status = answer.status_code
    assert status < 500, answer.text
    assert str(status) in case.operation.definition.raw["responses"] or status == 405, answer.text
    if status >= 400:
        body = answer.json()
        assert set(body) == {"error", "request_id"} and set(body["error"]) == {"type", "message", "field"}
        assert answer.headers["x-request-id"] == [body["request_id"]]


CHECKS = (
    is_told,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.missing_required_header,
    checks.allow_header_conformance,
)


def checks_of(case: Any, status: int) -> list[Any]:
    """Those that hold for it. That all is accepted that a schema allows is none of them: no schema can say
    that `start` must be below `end`."""
    found = list(CHECKS)
    is_by_itself = case.operation.path == "/search/batch"  # each of its bodies is refused in its place
    if not is_by_itself and not _has_null(case.body):
        found.append(checks.negative_data_rejection)
    if status not in (401, 403, 414):  # which come before a method is looked at
        found.append(checks.unsupported_method)
    return found


def _has_null(body: Any) -> bool:
    """Null means that a field is absent, which the schema does not say of each."""
    if isinstance(body, dict):
        return any(value is None or _has_null(value) for value in body.values())
    return isinstance(body, list) and any(map(_has_null, body))


def made_real(case: Any, id: str) -> None:
    """A valid request asks for what is there, since chance finds no id."""
    if not case.meta.generation.mode.is_positive or case.method == "DELETE":
        return
    if "video_id" in (case.path_parameters or {}):
        case.path_parameters = {"video_id": id}
    for fields in (case.query, case.body):
        if isinstance(fields, dict):
            for name in ("collection", "encoder"):
                fields.pop(name, None)
            if isinstance(fields.get("video_id"), str):
                fields["video_id"] = id


Try = Callable[[Any], requests.Response]


@pytest.fixture(scope="module")
def tried(film_server: Running) -> Iterator[Try]:
    """Asks, and checks what is answered."""
    with requests.Session() as session:
        yield partial(tried_by, film_server, session, {}, id_at(film_server.http, "red-then-blue.mp4"))


@pytest.fixture(scope="module", params=["admin", ""])
def tried_behind_keys(keyed_server: Running, request: pytest.FixtureRequest) -> Iterator[Try]:
    """The same of a server with keys, by who has one and by who has none."""
    key = {"x-api-key": keyed_server.keys[request.param]} if request.param else {}
    with requests.Session() as session:
        yield partial(tried_by, keyed_server, session, key, id_of("green"))


def tried_by(server: Running, session: Any, key: dict[str, str], id: str, case: Any) -> Any:
    made_real(case, id)
    answer = case.call(base_url=server.url, session=session, headers=key, timeout=ANSWER_S)
    case.validate_response(answer, checks=checks_of(case, answer.status_code))
    if server.keys and not key and case.operation.definition.raw["security"]:
        assert answer.status_code in (400, 401, 403, 414, 415, 431)
    return answer


@schema_of(has_coverage=True).exclude(path_regex=LARGE).parametrize()
@held(3)
def test_answers_are_what_the_document_says(case: Any, tried: Try) -> None:
    tried(case)


@schema_of(has_coverage=False).include(path_regex=LARGE).parametrize()
@held(20)
def test_answers_of_searches_are_what_the_document_says(case: Any, tried: Try) -> None:
    tried(case)


@schema_of(has_coverage=False).parametrize()
@held(5)
def test_answers_behind_keys_are_what_the_document_says(case: Any, tried_behind_keys: Try) -> None:
    tried_behind_keys(case)


@pytest.mark.slow
@schema_of(has_coverage=True).parametrize()
@held(100)
def test_many_more_answers_are_what_the_document_says(case: Any, tried: Try) -> None:
    tried(case)


@pytest.mark.slow
@schema_of(has_coverage=True).parametrize()
@held(30)
def test_many_more_answers_behind_keys_are(case: Any, tried_behind_keys: Try) -> None:
    tried_behind_keys(case)


V, ROW = "VIDEO", "ROW"
GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("/search", "POST", {"body": {"query": "red"}}),
    ("/search", "POST", {"body": {"query": "red", "group_by": "video", "pad_s": 0.5, "limit": 1}}),
    ("/search", "POST", {"body": {"query": "red", "include": ["scores", "explain", "vector", "thumbnail"]}}),
    ("/search", "POST", {"body": {"sequence": [{"query": "red"}, {"query": "blue", "absent": True}]}}),
    ("/search", "POST", {"body": {"query": [{"video_id": V, "start": 0}, {"text": "b", "weight": -0.5}]}}),
    ("/search", "POST", {"body": {"query": "red", "target": "texts"}}),
    ("/search/batch", "POST", {"body": {"requests": [{"query": "red"}, {"query": 5}]}}),
    ("/embed", "POST", {"body": {"texts": ["red", "blue"]}}),
    ("/tag", "POST", {"body": {"video_id": V, "labels": ["red", "blue"]}}),
    ("/locate", "POST", {"body": {"video_id": V, "texts": ["red", "blue"]}}),
    ("/knn-service", "POST", {"body": {"text": "red", "num_images": 2, "num_result_ids": 5}}),
    ("/metadata", "POST", {"body": {"ids": [ROW]}}),
    ("/indices-list", "GET", {}),
    ("/collections", "GET", {}),
    ("/healthz", "GET", {}),
    ("/readyz", "GET", {}),
    ("/metrics", "GET", {}),
    ("/videos", "GET", {"query": {"limit": 1}}),
    ("/videos/{video_id}", "GET", {"path_parameters": {"video_id": V}}),
    ("/thumbnail/{video_id}", "GET", {"path_parameters": {"video_id": V}, "query": {"exact": 1}}),
    ("/media/{video_id}", "GET", {"path_parameters": {"video_id": V}}),
    ("/clip/{video_id}", "GET", {"path_parameters": {"video_id": V}, "query": {"end": 0.5}}),
    ("/videos/{video_id}/similar", "GET", {"path_parameters": {"video_id": V}}),
    ("/export", "POST", {"body": {"search": {"query": "red"}, "format": "json"}}),
    ("/export", "POST", {"body": {"search": {"query": "red"}, "format": "csv"}}),
    ("/export", "POST", {"body": {"search": {"query": "red"}, "format": "edl"}}),
    ("/logout", "POST", {}),
]


@pytest.mark.parametrize(("path", "method", "sent"), GOOD, ids=[f"{each[1]} {each[0]}" for each in GOOD])
def test_good_answers_have_all_that_is_told_and_nothing_else(
    film_server: Running, path: str, method: str, sent: dict[str, Any]
) -> None:
    id = id_at(film_server.http, "red-then-blue.mp4")
    row = film_server.http.post("/knn-service", json={"text": "red"}).json()[0]["id"]
    real = json.dumps(sent).replace(V, id).replace(f'"{ROW}"', str(row))
    case = schema_of(has_coverage=False)[path][method].Case(**json.loads(real))
    answer = case.call(base_url=film_server.url)
    assert 200 <= answer.status_code < 300, answer.text
    case.validate_response(answer, checks=list(CHECKS))


def test_every_operation_is_asked_something_good() -> None:
    told = {(path, method.upper()) for path, held in DOCUMENT["paths"].items() for method in held}
    asked_elsewhere = {("/search/upload", "POST"), ("/caption", "POST"), ("/login", "POST")}
    asked_elsewhere.add(("/videos/{video_id}", "DELETE"))
    assert told - {each[:2] for each in GOOD} == asked_elsewhere
