"""Who is let in: over real sockets, with keys, without, and while they change."""

from __future__ import annotations

import ctypes
import hmac
import json
import logging
import multiprocessing
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from fastapi import Depends
from starlette.datastructures import Headers

from core.commands import main
from core.errors import Error, StoreError
from server import access, app, keys
from server.access import ANYONE, COOKIE, NO_KEY, WRONG_KEY, Access, admin, is_open_path
from server.app import create_app, openapi_text
from server.attempts import Attempts, TriedError
from server.keys import KeysFile
from server.library import ServedLibrary
from server.settings import ServeSettings
from tests.server.conftest import Running, in_thread, start
from tests.server.test_errors import refusal
from tests.server.worlds import make_keys, until

PATHS: dict[str, dict[str, Any]] = json.loads(openapi_text())["paths"]
ROUTES = [(method.upper(), path) for path, held in PATHS.items() for method in held]
UNKNOWN = f"cdx_{'0' * 8}_{'0' * 64}"


@contextmanager
def cookie_of(server: Running, scope: str, **headers: str) -> Iterator[tuple[httpx.Response, str]]:
    """What /login answers, and the value of its cookie."""
    answer = server.http.post("/login", json={"key": server.keys[scope]}, headers=headers)
    value = re.match(rf"{COOKIE}=([^;]+)", answer.headers["set-cookie"])
    assert value is not None
    server.http.cookies.clear()
    yield answer, value[1]


@pytest.fixture(scope="module")
def far_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Bound to every address, with keys in a file that is named, behind a proxy that nobody is."""
    folder = tmp_path_factory.mktemp("far")
    keys = make_keys(folder / "secrets")
    flags = ("--keys-file", str(folder / "secrets" / "keys.json"), "--trusted-proxies", "192.0.2.0/24")
    running = start(folder / "data", "--host", "0.0.0.0", *flags, wait=False)
    port = httpx.URL(running.url).port
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        yield replace(running, http=http, keys=keys)
    assert running.stop() == 0


def get(server: Running, **headers: str) -> int:
    return server.http.get(
        "/collections", headers={k.replace("_", "-"): v for k, v in headers.items()}
    ).status_code


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if not is_open_path(route[1])])
def test_every_route_that_is_not_public_takes_a_key(keyed_server: Running, method: str, path: str) -> None:
    for headers in ({}, {"x-api-key": UNKNOWN}, {"authorization": "Bearer nonsense"}):
        error = refusal(keyed_server, 401, "unauthorized", method, path, headers=headers)
        assert error["message"] == (WRONG_KEY if headers else NO_KEY)
        answer = keyed_server.http.request(method, path, headers=headers)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_cli_says_where_a_key_that_is_refused_came_from(
    keyed_server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["search", "red", "--server", str(keyed_server.http.base_url)]
    for words, why in (([], NO_KEY), (["--key", UNKNOWN], WRONG_KEY)):
        assert main([*where, *words]) != 0
        assert (
            capsys.readouterr().err == f"cinedex search: {why} CINEDEX_KEY, or --key, says which is sent.\n"
        )


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/start.js", "/docs/files/swagger-ui.css", "/openapi.json", "/no"]
)
def test_what_is_no_route_of_the_contract_takes_a_key_too(keyed_server: Running, path: str) -> None:
    refusal(keyed_server, 401, "unauthorized", "GET", path)
    with keyed_server.by("read") as http:
        assert http.get(path).status_code == (404 if path == "/no" else 200)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_needs_no_key_and_is_told_no_names(keyed_server: Running, path: str) -> None:
    for headers in ({}, {"x-api-key": UNKNOWN}):
        answer = keyed_server.http.get(path, headers=headers)
        assert answer.status_code == 200 and "toy:rgb" not in answer.text
    with keyed_server.by("read") as http:
        assert ("toy:rgb" in http.get(path).text) == (path == "/readyz")


@pytest.mark.parametrize(
    "path", ["/page", "/pages/x", "/login/", "//healthz", "/healthz/../search", "/%70age"]
)
def test_what_looks_like_a_public_path_is_none(path: str) -> None:
    assert not is_open_path(path)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer  {}"])
@pytest.mark.parametrize("scope", ["read", "admin"])
def test_a_key_is_taken_from_either_header(keyed_server: Running, form: str, scope: str) -> None:
    key = keyed_server.keys[scope]
    assert get(keyed_server, authorization=form.format(key)) == get(keyed_server, x_api_key=key) == 200


def test_a_search_answers_the_same_with_and_without_keys(any_server: Running) -> None:
    answer = any_server.search("red", limit=1)
    assert answer.status_code == 200
    assert [found["path"] for found in answer.json()["results"]] == ["films/red-then-blue.mp4"]


def test_what_goes_before_is_what_counts(keyed_server: Running) -> None:
    key = keyed_server.keys["read"]
    assert get(keyed_server, authorization=f"Bearer {UNKNOWN}", x_api_key=key) == 401
    assert get(keyed_server, authorization="Basic dTpw", x_api_key=key) == 200  # a proxy's own
    with cookie_of(keyed_server, "read") as (_, cookie):
        assert get(keyed_server, x_api_key=UNKNOWN, cookie=f"{COOKIE}={cookie}") == 401


@pytest.mark.parametrize("change", [lambda k: k[:-1], lambda k: k + "0", str.upper, lambda k: k[:-1] + "g"])
def test_nearly_a_key_is_none(keyed_server: Running, change: Callable[[str], str]) -> None:
    assert get(keyed_server, x_api_key=change(keyed_server.keys["read"])) == 401


def test_a_secret_under_another_id_is_no_key(keyed_server: Running) -> None:
    read, boss = keyed_server.keys["read"], keyed_server.keys["admin"]
    assert get(keyed_server, x_api_key=boss[:13] + read[13:]) == 401


@pytest.mark.parametrize(("method", "status"), [("DELETE", 404), ("PUT", 405), ("PATCH", 405)])
def test_who_may_read_may_not_change(keyed_server: Running, method: str, status: int) -> None:
    headers = {"x-api-key": keyed_server.keys["read"]}
    error = refusal(keyed_server, 403, "forbidden", method, "/videos/v-1", headers=headers)
    assert error["message"] == "The key's scope is read; this takes one of scope admin."
    headers = {"x-api-key": keyed_server.keys["admin"]}
    assert keyed_server.http.request(method, "/videos/v-1", headers=headers).status_code == status


def test_a_route_can_ask_for_an_admin(tmp_path: Path) -> None:
    held = make_keys(tmp_path)
    served = create_app(ServedLibrary(dict), ServeSettings(data=tmp_path))
    served.post("/change", dependencies=[Depends(admin)])(lambda: {})
    transport = httpx.ASGITransport(served)

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return [
                (await http.post("/change", headers={"x-api-key": held[scope]})).status_code
                for scope in ("read", "admin")
            ]

    import anyio

    assert anyio.run(ask) == [403, 200]


# --- cookies ---------------------------------------------------------------------------------------


def test_a_key_gives_a_cookie_that_no_script_and_no_other_page_has(keyed_server: Running) -> None:
    with cookie_of(keyed_server, "read") as (answer, value):
        told = answer.headers["set-cookie"].lower()
        assert answer.status_code == 204 and answer.headers["cache-control"] == "no-store"
        assert {"httponly", "samesite=strict", "path=/"} <= {word.strip() for word in told.split(";")}
        assert "secure" not in told and "domain" not in told
        assert keyed_server.keys["read"][13:] not in value
        assert get(keyed_server, cookie=f"other=1; {COOKIE}={value}") == 200
        assert get(keyed_server, x_api_key=value) == get(keyed_server, authorization=f"Bearer {value}") == 401


def test_behind_https_the_cookie_is_for_https_only(keyed_server: Running) -> None:
    with cookie_of(keyed_server, "read", **{"x-forwarded-proto": "https"}) as (answer, _):
        assert "; Secure" in answer.headers["set-cookie"]


def test_a_proxy_that_is_not_named_is_not_believed(far_server: Running) -> None:
    answer = far_server.http.post(
        "/login", json={"key": far_server.keys["read"]}, headers={"x-forwarded-proto": "https"}
    )
    far_server.http.cookies.clear()
    assert answer.status_code == 204 and "secure" not in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "change", [lambda c: c[:-1], lambda c: "0" * 8 + c[8:], lambda c: c.replace(".", "_"), lambda c: ""]
)
def test_a_cookie_that_was_changed_is_none(keyed_server: Running, change: Callable[[str], str]) -> None:
    with cookie_of(keyed_server, "read") as (_, value):
        assert get(keyed_server, cookie=f"{COOKIE}={change(value)}") == 401


def test_a_cookie_may_no_more_than_its_key(keyed_server: Running) -> None:
    for scope, status in (("read", 403), ("admin", 404)):
        with cookie_of(keyed_server, scope) as (_, value):
            headers = {"cookie": f"{COOKIE}={value}"}
            answer = keyed_server.http.delete("/videos/v-1", headers=headers)
            assert answer.status_code == status


def test_to_log_out_takes_the_cookie_back(keyed_server: Running) -> None:
    answer = keyed_server.http.post("/logout")
    assert answer.status_code == 204
    assert re.match(rf'{COOKIE}=""?; .*Max-Age=0', answer.headers["set-cookie"])


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"key": UNKNOWN}, 401, "key"),
        ({"key": "x"}, 401, "key"),
        ({}, 400, "key"),
        ({"key": "x", "kay": 1}, 400, "kay"),
    ],
)
def test_a_wrong_key_gives_no_cookie(keyed_server: Running, body: Any, status: int, field: str) -> None:
    type = "unauthorized" if status == 401 else "invalid_request"
    headers = {"x-forwarded-for": "192.0.2.9"}
    assert refusal(keyed_server, status, type, "POST", "/login", json=body, headers=headers)["field"] == field
    assert "set-cookie" not in keyed_server.http.post("/login", json=body, headers=headers).headers


def test_no_page_from_elsewhere_logs_in(keyed_server: Running) -> None:
    headers = {"origin": "http://evil.example"}
    body = {"key": keyed_server.keys["read"]}
    refusal(keyed_server, 403, "forbidden", "POST", "/login", json=body, headers=headers)


def test_without_keys_there_is_nothing_to_log_in_to(sample_server: Running) -> None:
    refusal(sample_server, 409, "conflict", "POST", "/login", json={"key": UNKNOWN})


def test_who_tries_keys_is_told_to_wait_and_nobody_else(keyed_server: Running) -> None:
    def ask(client: str, key: str) -> httpx.Response:
        headers = {"x-forwarded-for": client}
        return keyed_server.http.post("/login", json={"key": key}, headers=headers)

    told = [ask("192.0.2.1", UNKNOWN).status_code for _ in range(12)]
    assert told == [401] * 10 + [429] * 2
    assert 1 < int(ask("192.0.2.1", UNKNOWN).headers["retry-after"]) <= 60
    assert ask("192.0.2.1", keyed_server.keys["read"]).status_code == 429
    assert ask("192.0.2.2", keyed_server.keys["read"]).status_code == 204
    keyed_server.http.cookies.clear()


def test_who_waits_as_long_as_is_told_is_let_in_again() -> None:
    now = 100.0
    attempts = Attempts(lambda: now)
    for _ in range(10):
        attempts.refuse("192.0.2.1")
        attempts.count("192.0.2.1")
    for at, left in ((100.0, "60"), (112.5, "48"), (159.9, "1")):
        now = at
        with pytest.raises(TriedError) as caught:
            attempts.refuse("192.0.2.1")
        assert caught.value.headers == {"Retry-After": left}
    now = 160.0
    attempts.refuse("192.0.2.1")


# --- while it runs ---------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(app, "LOOK_S", 0.02)
    return tmp_path / "data"


def test_a_key_is_made_and_revoked_without_a_restart(data: Path) -> None:
    file = KeysFile(data / keys.FILE)
    with in_thread(ServedLibrary(dict), data=data) as http:

        def status(key: str = "") -> int:
            return http.get("/collections", headers={"x-api-key": key} if key else {}).status_code

        assert status() == 200
        key, text = keys.make("first", "read", None)
        file.add(key)
        until(lambda: status() == 401)
        assert status(text) == 200
        session = http.post("/login", json={"key": text}).cookies[COOKIE]
        http.cookies.clear()
        file.remove("first")
        until(lambda: status(text) == 401)
        assert http.get("/collections", headers={"cookie": f"{COOKIE}={session}"}).status_code == 401
        assert status() == 401, "the last key is gone, and the door is open"


@pytest.mark.parametrize("damage", ["damaged", "gone", "folder"])
def test_a_file_that_is_damaged_or_gone_opens_nothing(
    data: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = make_keys(data)["read"]
    file = data / keys.FILE
    with in_thread(ServedLibrary(dict), data=data) as http:
        good = file.read_text()
        file.unlink()
        if damage == "damaged":
            file.write_text("{")
        elif damage == "folder":
            file.mkdir()
        until(lambda: "those before hold on" in caplog.text)
        assert http.get("/collections").status_code == 401
        assert http.get("/collections", headers={"x-api-key": text}).status_code == 200
        if damage == "folder":
            file.rmdir()
        file.write_text(good)
        until(lambda: "keys read count=2" in caplog.text)
    assert caplog.text.count("those before hold on") <= 2


def test_a_first_file_that_cannot_be_read_lets_nobody_in(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with in_thread(ServedLibrary(dict), data=data) as http:
        assert http.get("/collections").status_code == 200
        data.mkdir()
        (data / keys.FILE).write_text("{")
        until(lambda: "keys not read" in caplog.text)
        assert http.get("/collections").status_code == 401


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_link_to_another_file_is_followed(tmp_path: Path) -> None:
    """As a secret that is mounted is exchanged."""
    held = {name: make_keys(tmp_path / name)["read"] for name in ("one", "two")}
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "one" / keys.FILE)
    found = Access(KeysFile(link), must_be=True)
    assert found.session(held["one"]) and not found.session(held["two"])
    (tmp_path / "new").symlink_to(tmp_path / "two" / keys.FILE)
    (tmp_path / "new").replace(link)
    found.look()
    assert found.session(held["two"]) and not found.session(held["one"])


def test_a_key_that_is_over_is_none(tmp_path: Path) -> None:
    file = KeysFile(tmp_path / keys.FILE)
    key, text = keys.make("old", "read", datetime.now(UTC) - timedelta(seconds=1))
    file.add(key)
    assert Access(file, must_be=True).session(text) is None


def test_a_damaged_file_starts_no_server(tmp_path: Path) -> None:
    (tmp_path / keys.FILE).write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        Access.of(ServeSettings(data=tmp_path))
    with pytest.raises(Error, match="is not there"):
        Access.of(ServeSettings(data=tmp_path, keys_file=tmp_path / "none.json"))


def test_a_file_may_say_that_no_keys_are_meant_until_there_are_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = KeysFile(tmp_path / "none.json")
    none_meant = '{"format": 1, "keys": null}'
    file.path.write_text(none_meant)
    found = Access.of(ServeSettings(data=tmp_path, keys_file=file.path))
    assert not found.is_by_key
    key, text = keys.make("first", "read", None)
    file.add(key)
    found.look()
    assert found.is_by_key and found.session(text)
    file.path.write_text(none_meant)
    found.look()
    assert found.is_by_key and "has none any more" in caplog.text


@pytest.mark.parametrize("is_there", [True, False])
def test_who_takes_the_place_of_a_worker_with_keys_stays_closed(
    tmp_path: Path, is_there: bool, caplog: pytest.LogCaptureFixture
) -> None:
    closed = multiprocessing.get_context("spawn").RawValue(ctypes.c_bool)
    file, headers = KeysFile(tmp_path / keys.FILE), Headers({})
    first, beside = (Access(file, must_be=False, closed=closed) for _ in range(2))
    assert first.caller(headers) == ANYONE and not closed.value
    file.add(keys.make("first", "read", None)[0])
    first.look()
    file.path.unlink()
    if is_there:
        file.path.write_text('{"format": 1, "keys": null}')
    beside.look()
    second = Access(file, must_be=False, closed=closed)
    for each in (beside, second):
        assert each.is_by_key and each.caller(headers) is None
    assert caplog.text.count("has none any more") == 2


def test_a_file_that_must_be_there_and_goes_while_it_is_looked_at_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = KeysFile(tmp_path / keys.FILE)
    file.add(keys.make("first", "read", None)[0])
    real = access._stamp

    def stamp(path: Path) -> object:
        found = real(path)
        path.unlink()
        return found

    monkeypatch.setattr(access, "_stamp", stamp)
    with pytest.raises(StoreError, match="is not there"):
        Access(file, must_be=True)


def test_an_unknown_id_is_compared_as_long_as_a_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = make_keys(tmp_path)["read"]
    found = Access.of(ServeSettings(data=tmp_path))
    compared: list[tuple[str, str]] = []

    def digests(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", digests)
    for key in (text, UNKNOWN, text[:13] + "0" * 64):
        found.session(key)
    assert [tuple(map(len, pair)) for pair in compared] == [(64, 64)] * 3


# --- the process -----------------------------------------------------------------------------------


def test_with_keys_it_binds_everywhere(far_server: Running) -> None:
    assert get(far_server) == 401
    assert get(far_server, x_api_key=far_server.keys["read"]) == 200
    assert "has no keys" not in far_server.log.read_text()


def test_insecure_takes_no_key_away(data: Path) -> None:
    make_keys(data)
    with in_thread(ServedLibrary(dict), data=data, insecure=True) as http:
        assert http.get("/collections").status_code == 401


@pytest.mark.parametrize("text", [None, "{"])
def test_a_keys_file_that_cannot_be_read_ends_it_before_anything_is_bound(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "secret.json"
    if text:
        file.write_text(text)
    assert main(["serve", "--data", str(tmp_path), "--port", "0", "--keys-file", str(file)]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and str(file) in told.err


def test_a_proxy_is_named_by_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--trusted-proxies", "my-proxy"]) == 2
    assert "trusted-proxies" in capsys.readouterr().err


# --- the log ---------------------------------------------------------------------------------------


def log_of(server: Running, request_id: str) -> list[dict[str, Any]]:
    """The lines of one request."""

    def found() -> list[dict[str, Any]]:
        held = [json.loads(line) for line in server.log.read_text().splitlines()]
        return [line for line in held if line.get("request_id") == request_id]

    until(lambda: any(line["logger"] == "server.access" for line in found()))
    return found()


def test_a_request_is_one_line_with_the_key_s_id(keyed_server: Running) -> None:
    headers = {"x-request-id": "one-line", "x-api-key": keyed_server.keys["read"]}
    answer = keyed_server.http.post("/search", json={"query": "red"}, headers=headers)
    (line,) = log_of(keyed_server, "one-line")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/search", 200)
    assert line["bytes"] == len(answer.content) and line["ms"] > 0
    assert line["key"] == keyed_server.keys["read"][4:12]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/videos", 200), ("POST", "/search", 400)])
def test_what_stands_behind_an_address_is_not_logged(
    keyed_server: Running, method: str, path: str, status: int
) -> None:
    headers = {"x-request-id": f"behind-{method}", "x-api-key": keyed_server.keys["read"]}
    answer = keyed_server.http.request(method, f"{path}?prefix=secret", headers=headers)
    assert answer.status_code == status
    (line,) = log_of(keyed_server, f"behind-{method}")
    assert (line["path"], line["status"]) == (path, status)
    assert "secret" not in json.dumps(line)


def test_other_lines_of_a_request_say_its_id_too(keyed_server: Running) -> None:
    headers = {"x-request-id": "two-lines", "x-forwarded-for": "192.0.2.7"}
    keyed_server.http.post("/login", json={"key": UNKNOWN}, headers=headers)
    refused, visit = log_of(keyed_server, "two-lines")
    assert (refused["message"], refused["client"]) == ("login refused client=192.0.2.7", "192.0.2.7")
    assert (visit["status"], visit["key"]) == (401, "-")


def test_a_key_that_is_sent_where_it_does_not_belong_is_repeated_nowhere(keyed_server: Running) -> None:
    key = keyed_server.keys["read"]
    headers = {"x-api-key": key}
    for sent in (
        keyed_server.http.get(f"/{key}", headers=headers),
        keyed_server.http.get("/" + key.replace("_", "%5F"), headers=headers),
        keyed_server.http.get("/" + "".join(f"%{ord(letter):02x}" for letter in key), headers=headers),
        keyed_server.http.get(f"/collections?key={key}"),
        keyed_server.http.post("/search", json={"query": "red", "limit": key}, headers=headers),
        keyed_server.http.post("/search", json={"query": "red", key: 1}, headers=headers),
        keyed_server.http.post("/login", json={"key": key + "0" * 200}),
        keyed_server.http.get("/healthz", headers={"host": key}),
    ):
        assert sent.status_code >= 400
        assert key[13:40] not in unquote(sent.text)
    assert key[13:40] not in unquote(keyed_server.log.read_text())
    assert f"path=/{key[:13]}..." in keyed_server.log.read_text()


# --- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "dest", "status"),
    [
        ("cross-site", "image", 403),
        ("cross-site", "empty", 403),
        ("cross-site", "iframe", 403),
        ("same-site", "video", 403),
        ("cross-site", "document", 200),
        ("same-origin", "image", 200),
        ("none", "document", 200),
    ],
)
def test_a_page_from_elsewhere_embeds_nothing(
    sample_server: Running, site: str, dest: str, status: int
) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-dest": dest}
    assert sample_server.http.get("/collections", headers=headers).status_code == status


def test_every_answer_is_kept_from_other_pages_and_caches(any_server: Running) -> None:
    for path in ("/healthz", "/no", "/collections", "/docs"):
        headers = any_server.http.get(path).headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["permissions-policy"].startswith("camera=()")
        assert headers["cache-control"].startswith("private")


def test_the_openapi_document_says_where_a_key_goes() -> None:
    document = json.loads(openapi_text())
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header", "cookie"}
    for path, held in PATHS.items():
        for operation in held.values():
            if is_open_path(path):
                assert operation["security"] == []
            else:
                assert {"401", "403"} <= set(operation["responses"])
                assert {"bearer": []} in operation["security"] and {} in operation["security"]
