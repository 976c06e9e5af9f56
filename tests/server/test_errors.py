"""The error table of docs/http-api.md over a real socket: every answer in one shape, the field named."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from server import refusals
from server.library import ServedLibrary
from tests.server.conftest import Running, in_thread
from tests.server.worlds import id_of

VIDEO = id_of("red-then-blue")
MIB = 1 << 20

BODIES: list[tuple[Any, str | None]] = [
    ([], None),
    ("red", None),
    (None, None),
    ({}, "query"),
    ({"query": None}, "query"),
    ({"query": 5}, "query"),
    ({"query": ""}, "query"),
    ({"query": " \t\n"}, "query"),
    ({"query": "x" * 2_001}, "query"),
    ({"query": "\ud800"}, "query"),
    ({"query": []}, "query"),
    ({"query": [{"text": "x"}] * 17}, "query"),
    ({"query": ["red"]}, "query[0]"),
    ({"query": [{}]}, "query[0]"),
    ({"query": [{"text": "red"}, {"weight": 2}]}, "query[1]"),
    ({"query": [{"text": "red", "video_id": VIDEO}]}, "query[0]"),
    ({"query": [{"text": "red", "weight": 0}]}, "query[0].weight"),
    ({"query": [{"text": "red", "weight": 101}]}, "query[0].weight"),
    ({"query": [{"text": "red", "weight": "2"}]}, "query[0].weight"),
    ({"query": [{"text": "red", "weight": float("nan")}]}, "query[0].weight"),
    ({"query": [{"text": "red", "wieght": 1}]}, "query[0].wieght"),
    ({"query": [{"text": "red", "start": 1}]}, "query[0].start"),
    ({"query": [{"video_id": ""}]}, "query[0].video_id"),
    ({"query": [{"video_id": "x" * 201}]}, "query[0].video_id"),
    ({"query": [{"video_id": VIDEO, "start": -1}]}, "query[0].start"),
    ({"query": [{"video_id": VIDEO, "start": 4, "end": 4}]}, "query[0].end"),
    ({"query": [{"video_id": VIDEO, "end": float("inf")}]}, "query[0].end"),
    ({"query": [{"video_id": VIDEO, "start": 1_000}]}, "query[0].start"),
    ({"query": "red", "limit": 0}, "limit"),
    ({"query": "red", "limit": 1_001}, "limit"),
    ({"query": "red", "limit": "5"}, "limit"),
    ({"query": "red", "limit": 5.5}, "limit"),
    ({"query": "red", "limit": 11.0}, "limit"),
    ({"query": "red", "limit": 10.0}, "limit"),
    ({"query": "red", "group_size": 3.0}, "group_size"),
    ({"query": "red", "limit": True}, "limit"),
    ({"query": "red", "limit": float("nan")}, "limit"),
    ({"query": "red", "group_size": 101}, "group_size"),
    ({"query": "red", "group_by": "path"}, "group_by"),
    ({"query": "red", "mode": "words"}, "mode"),
    ({"query": [{"text": "red"}, {"video_id": VIDEO}], "mode": "text"}, "mode"),
    ({"query": "red", "level": "video", "group_by": "none"}, "group_by"),
    ({"query": "red", "level": "shot"}, "level"),
    ({"query": "red", "target": ["videos"]}, "target"),
    ({"query": "red", "collection": 1}, "collection"),
    ({"query": "red", "merge_gap_s": -1}, "merge_gap_s"),
    ({"query": "red", "pad_s": float("-inf")}, "pad_s"),
    ({"query": "red", "pad_s": 3_601}, "pad_s"),
    ({"query": "red", "exact": 1}, "exact"),
    ({"query": "red", "effort": 0}, "effort"),
    ({"query": "red", "effort": 1.5}, "effort"),
    ({"query": "red", "min_score": "0.5"}, "min_score"),
    ({"query": "red", "min_confidence": 1.5}, "min_confidence"),
    ({"query": "red", "min_confidence": "none"}, "min_confidence"),
    ({"query": "red", "min_confidence": True}, "min_confidence"),
    ({"query": "red", "quary": None}, "quary"),
    ({"\ud800": 1}, None),
    ({"query": "red", "filter": {"\ud800": 1}}, "filter"),
    ({"query": "red", "top": 5}, "top"),
    ({"query": "red", "sequence": [{"query": "a"}, {"query": "b"}]}, "sequence"),
    ({"sequence": [{"query": "a"}]}, "sequence"),
    ({"sequence": [{"query": "a"}] * 9}, "sequence"),
    ({"sequence": [{"query": "a", "absent": True}] * 2}, "sequence"),
    ({"sequence": [{"query": "a"}, {"query": ""}]}, "sequence[1].query"),
    ({"sequence": [{"query": "a"}, {}]}, "sequence[1].query"),
    ({"sequence": [{"query": "a"}, {"query": [{"txt": "b"}]}]}, "sequence[1].query[0].txt"),
    ({"sequence": [{"query": "a"}, {"query": "b", "absent": 1}]}, "sequence[1].absent"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "within_s": 0}, "within_s"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "within_s": 4, "min_gap_s": 5}, "min_gap_s"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "target": "texts"}, "target"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "mode": "hybrid"}, "mode"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "merge_gap_s": None}, "merge_gap_s"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "group_size": 2}, "group_size"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "weigh_frames": True}, "weigh_frames"),
    ({"sequence": [{"query": "a"}, {"query": "b"}], "diversity": 0.5}, "diversity"),
    ({"query": "red", "within_s": 5}, "within_s"),
    ({"query": "red", "min_gap_s": 5}, "min_gap_s"),
    ({"query": "red", "diversity": 1.5}, "diversity"),
    ({"query": "red", "diversity": 0.5, "mode": "text"}, "diversity"),
    ({"query": "red", "include": ["vectors"]}, "include[0]"),
    ({"query": "red", "include": "vector"}, "include"),
    ({"query": "red", "cursor": "x" * 4_097}, "cursor"),
    ({"query": "red", "cursor": 5}, "cursor"),
    ({"query": "red", "encoder_options": {"w": [1]}}, "encoder_options.w"),
    ({"query": "red", "encoder_options": {"w": None}}, "encoder_options.w"),
    ({"query": "red", "encoder_options": {"w": "x" * 257}}, "encoder_options.w"),
    ({"query": "red", "encoder_options": {"w": 10**400}}, "encoder_options.w"),
    ({"query": "red", "encoder_options": {"w": float("nan")}}, "encoder_options.w"),
    ({"query": "red", "encoder_options": {"w": "\ud800"}}, "encoder_options.w"),
]


def refusal(
    server: Running, status: int, type: str, method: str = "POST", path: str = "/search", **sent: Any
) -> Any:
    """The `error` of an answer that must be one."""
    answer = server.http.request(method, path, **sent)
    assert answer.status_code == status, answer.text
    held = answer.json()
    assert set(held) == {"error", "request_id"}
    assert set(held["error"]) == {"type", "message", "field"}
    assert held["error"]["type"] == type
    assert held["request_id"] == answer.headers["x-request-id"]
    message = held["error"]["message"]
    assert message.endswith((".", "?")) and "\n" not in message and "/tmp" not in message
    return held["error"]


@pytest.mark.parametrize(("body", "field"), BODIES, ids=lambda value: str(value)[:50])
def test_a_wrong_body_is_refused_and_its_field_named(
    sample_server: Running, body: Any, field: str | None
) -> None:
    error = refusal(sample_server, 400, "invalid_request", content=json.dumps(body))
    assert error["field"] == field
    assert field is None or error["message"].startswith(field)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b'{"query": "red"', b"\xff\xfe", b'{"query": "\xff"}'),
        *(b"[" * 100_000, b'{"query": 1' + b"0" * 9_999),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_is_refused(sample_server: Running, body: bytes) -> None:
    assert refusal(sample_server, 400, "invalid_request", content=body)["field"] is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"\ud800": 1}, "The body has text that is not Unicode (got '\\ud800')."),
        (
            {"query": [{"text": "red", "\ud800": 1}]},
            "query[0] has text that is not Unicode (got '\\ud800').",
        ),
        ({"query": "red", "encoder": "\ud800"}, "encoder has text that is not Unicode (got '\\ud800')."),
        ([], "The body must be a JSON object."),
    ],
)
def test_what_is_no_unicode_is_told_as_such(sample_server: Running, body: Any, says: str) -> None:
    assert refusal(sample_server, 400, "invalid_request", content=json.dumps(body))["message"] == says


@pytest.mark.parametrize("effort", [1, 10**18, 10**400])
def test_an_effort_of_any_size_is_all_lists_at_most(sample_server: Running, effort: int) -> None:
    answer = sample_server.http.post("/search", json={"query": "red", "effort": effort})
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"] == sample_server.search("red").json()["results"]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/search", {"query": "red", "limits": 5}, "limits is no field of a request; did you mean 'limit'?"),
        ("/search", {"query": [{"test": 1}]}, "query[0].test is no field of a request; did you mean 'text'?"),
        ("/embed", {"text": ["red"]}, "text is no field of a request; did you mean 'texts'?"),
        ("/embed", {"texts": ["red"], "zzz": 1}, "zzz is no field of a request."),
        (
            "/search",
            {"query": "red", "filter": {"must": [{"path": {"prefx": "a"}}]}},
            "filter.must[0].path.prefx is no test; "
            "there are eq, in, gte, lte, prefix, exists; did you mean 'prefix'?",
        ),
    ],
)
def test_a_misspelt_field_of_any_route_is_told_its_name(
    sample_server: Running, path: str, body: Any, says: str
) -> None:
    error = refusal(sample_server, 400, "invalid_request", path=path, json=body)
    assert error["message"] == says


TOLD_ALL = (
    *("/search", "/search/batch", "/search/upload", "/export", "/embed", "/tag", "/locate", "/caption"),
    *("/knn-service", "/metadata", "/login"),
)


@pytest.mark.parametrize("path", TOLD_ALL)
def test_what_belongs_into_a_body_is_not_passed_over_in_an_address(sample_server: Running, path: str) -> None:
    sent: dict[str, Any] = {"files": {"file": b"x"}} if path == "/search/upload" else {"json": {}}
    for name in ("collection", "x" * 200, "=", "<b>"):
        error = refusal(sample_server, 400, "invalid_request", path=path, params={name: "1"}, **sent)
        assert error["field"] == name and "takes all in its body" in error["message"]


@pytest.mark.parametrize("path", ["", f"/{VIDEO}", f"/{VIDEO}/similar"])
def test_a_parameter_that_is_there_twice_is_refused(sample_server: Running, path: str) -> None:
    asked = f"/videos{path}?collection=default&encoder=toy:rgb"
    assert sample_server.http.get(asked).status_code == 200
    error = refusal(
        sample_server, 400, "invalid_request", "GET", f"{asked}&collection=other&{'x' * 300}=1&{'x' * 300}=1"
    )
    assert error["field"] == "collection"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_monitor_may_ask_for_the_status_alone(sample_server: Running, path: str) -> None:
    answer = sample_server.http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": "red", "collection": "others"}, "collection"),
        ({"query": "red", "collection": ""}, "collection"),
        ({"query": "red", "encoder": "toy:other"}, "encoder"),
        ({"query": "red", "encoder": ""}, "encoder"),
        ({"query": [{"video_id": "v-none"}]}, "query[0].video_id"),
        ({"query": [{"text": "a"}, {"video_id": "../../etc/passwd"}]}, "query[1].video_id"),
        ({"query": [{"video_id": "\u0000"}]}, "query[0].video_id"),
    ],
)
def test_what_is_not_there_is_not_found(sample_server: Running, body: Any, field: str) -> None:
    assert refusal(sample_server, 404, "not_found", json=body)["field"] == field


@pytest.mark.parametrize("path", ["/searches", "/serach", "/search/uploads", "/docs/files/../../etc/passwd"])
def test_an_unknown_route_is_not_found(sample_server: Running, path: str) -> None:
    refusal(sample_server, 404, "not_found", "GET", path)


def test_another_method_is_told_which_ones_there_are(sample_server: Running) -> None:
    refusal(sample_server, 405, "method_not_allowed", "GET", "/search")
    assert sample_server.http.get("/search").headers["allow"] == "POST"
    both = sample_server.http.request("OPTIONS", f"/videos/{VIDEO}")
    assert both.headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_says_it_is_no_json_is_refused(sample_server: Running, kind: str) -> None:
    headers = {"content-type": kind}
    refusal(sample_server, 415, "unsupported_media_type", content=b'{"query": "red"}', headers=headers)


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity"])
@pytest.mark.parametrize("path", ["/search", "/search/upload"])
def test_a_body_that_is_compressed_is_told_so(sample_server: Running, path: str, coding: str) -> None:
    sent: dict[str, Any] = (
        {"files": {"file": b"x"}} if path == "/search/upload" else {"json": {"query": "red"}}
    )
    headers = {"content-encoding": coding}
    error = refusal(sample_server, 415, "unsupported_media_type", path=path, headers=headers, **sent)
    assert repr(coding) in error["message"]


def test_a_body_that_says_it_is_sent_as_it_is_is_read(sample_server: Running) -> None:
    answer = sample_server.http.post(
        "/search", json={"query": "red"}, headers={"content-encoding": "identity"}
    )
    assert answer.status_code == 200


def test_a_whole_number_will_do_where_any_number_will(sample_server: Running) -> None:
    body = {"query": [{"text": "red", "weight": 1}], "pad_s": 0, "merge_gap_s": 0, "min_gap_s": 0}
    assert sample_server.http.post("/search", json=body).status_code == 200


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/ld+JSON"])
def test_a_body_that_says_nothing_or_json_is_read(sample_server: Running, kind: str) -> None:
    body = b'{"query": "red"}'
    assert sample_server.http.post("/search", content=body).status_code == 200
    sent = sample_server.http.post("/search", content=body, headers={"content-type": kind})
    assert sent.status_code == 200


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(sample_server: Running) -> None:
    refusal(sample_server, 413, "too_large", content=b" " * (16 * MIB + 1))
    refusal(sample_server, 413, "too_large", content=(b" " * MIB for _ in range(17)))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.org", "[::2]"])
def test_another_host_is_refused(sample_server: Running, host: str) -> None:
    refusal(sample_server, 403, "forbidden", "GET", "/healthz", headers={"host": host})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:80"])
def test_names_of_loopback_are_answered(sample_server: Running, host: str) -> None:
    assert sample_server.http.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://["]
)
def test_a_page_from_elsewhere_may_not_ask(sample_server: Running, origin: str) -> None:
    refusal(sample_server, 403, "forbidden", json={"query": "red"}, headers={"origin": origin})


def test_a_page_of_its_own_may_ask(sample_server: Running) -> None:
    headers = {"origin": sample_server.url}
    assert sample_server.http.post("/search", json={"query": "red"}, headers=headers).status_code == 200


def test_every_answer_carries_the_headers_that_keep_it_safe(sample_server: Running) -> None:
    for path in ("/healthz", "/nothing", "/docs", "/metrics"):
        headers = sample_server.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in headers


def test_what_is_no_http_does_not_hurt(sample_server: Running) -> None:
    port = sample_server.http.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in raw.recv(1_000)
    assert sample_server.http.get("/healthz").status_code == 200


MANY = 200_000
LISTS: dict[str, list[int]] = {str(n): [] for n in range(100_000)}
AT_FAULT: list[tuple[str, Any, str]] = [
    ("/search", {f"x{n}": 1 for n in range(MANY)}, "x0"),
    ("/search", {"query": [{f"x{n}": 1 for n in range(MANY)}]}, "query[0].x0"),
    ("/search", {"query": [{"vector": ["a"] * 60_000}] * 16}, "query[0].vector[0]"),
    ("/search", {"query": "red", "encoder_options": LISTS}, "encoder_options"),
    ("/search", {"query": "red", "filter": {"path": {"in": [[]] * 1_000}}}, "filter.path.in[0]"),
    ("/search", {"query": "red", "filter": {"path": {f"x{n}": 1 for n in range(MANY)}}}, "filter.path.x0"),
    ("/knn-service", {"embedding_input": ["a"] * MANY}, "embedding_input[0]"),
    ("/knn-service", {"embedding_input": [0.5] * MANY}, "embedding_input"),
    ("/metadata", {"ids": ["a"] * 10_000}, "ids[0]"),
    ("/tag", {"video_id": VIDEO, "labels": [1] * 10_000}, "labels[0]"),
    ("/embed", {"texts": [1] * 64}, "texts[0]"),
]


@pytest.mark.parametrize(("path", "body", "field"), AT_FAULT, ids=lambda value: str(value)[:50])
def test_of_a_body_with_countless_mistakes_one_is_found(
    sample_server: Running, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, field: str
) -> None:
    assert refusal(sample_server, 400, "invalid_request", path=path, json=body)["field"] == field
    found: list[int] = []
    of_validation = refusals.of_validation

    def counted(errors: Any, asked: Any) -> refusals.Refusal:
        found.append(len(errors))
        return of_validation(errors, asked)

    monkeypatch.setattr(refusals, "of_validation", counted)
    with in_thread(ServedLibrary(dict)) as http:
        assert http.post(path, json=body).status_code == 400
    assert found and found[0] <= 32


@pytest.mark.parametrize("body", [{"x" * 1_000_000: 1}, {"query": [{"x" * 1_000_000: 1}]}])
def test_a_name_that_never_ends_is_not_repeated_whole(sample_server: Running, body: Any) -> None:
    error = refusal(sample_server, 400, "invalid_request", json=body)
    assert error["field"].endswith("x" * 200 + "…")
    assert len(error["message"]) < 300


def test_a_login_is_a_key_and_not_millions_of_fields(sample_server: Running) -> None:
    large = {f"x{n}": 1 for n in range(1_000)}
    refusal(sample_server, 413, "too_large", path="/login", json=large)
    refusal(sample_server, 413, "too_large", path="/login", content=(b" " * 1_024 for _ in range(5)))
    refusal(sample_server, 409, "conflict", path="/login", json={"key": "x" * 200})
