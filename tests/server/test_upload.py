"""POST /search/upload: a picture or a video that is sent is what is looked for."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from extractor.content import content_of
from index.build import build
from server.gate import UPLOAD
from server.library import ServedLibrary
from server.paging import Page, page_of
from tests.extractor.shelf import Shelf
from tests.server.conftest import in_thread
from tests.server.held import Decoders
from tests.server.sent import base64_of, picture
from tests.server.test_serving import answer_to_a_head
from tests.server.worlds import until

MIB = 1 << 20


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Shelf:
    """Real videos, extracted and built."""
    shelf = Shelf(tmp_path_factory.mktemp("upload"))
    for name in ("red.mp4", "green.mp4", "blue.mp4", "white.mp4", "red-then-blue.mp4", "rotated.mp4"):
        shelf.put(videos / name)
    shelf.extract()
    build(shelf.store)
    return shelf


@pytest.fixture(scope="module")
def http(films: Shelf) -> Iterator[httpx.Client]:
    with in_thread(ServedLibrary.of_data(films.folder / "data"), max_video_s=20, max_upload_mb=2) as client:
        until(lambda: client.get("/readyz").status_code == 200, 60)
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is sent lies on disk only while it is needed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert [path for path in tmp_path.iterdir() if not path.name.startswith("pymp-")] == []


def send(http: httpx.Client, data: bytes, name: str = "any", **request: Any) -> httpx.Response:
    sent = {"request": (None, json.dumps(request), "application/json")} if request else {}
    return http.post("/search/upload", files={"file": (name, data), **sent})


def paths(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["path"] for result in answer.json()["results"]]


def test_what_was_sent_is_hashed_beside_the_event_loop(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[bool] = []

    def hashes(*given: Any) -> Page:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            hashed.append(True)
        return page_of(*given)

    monkeypatch.setattr("server.routes.upload.page_of", hashes)
    assert paths(send(http, picture("red")))
    assert hashed == [True]


def refused(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["message"].endswith((".", "?")) and "/tmp" not in error["message"]
    return error


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_finds_videos(http: httpx.Client, kind: str) -> None:
    assert paths(send(http, picture("#d62024", kind=kind)))[0] == "films/red.mp4"


@pytest.mark.usefixtures("unwatched")
def test_uploads_leave_no_descriptors(http: httpx.Client, videos: Path) -> None:
    def several() -> int:
        for data in ((videos / "short.webm").read_bytes(), picture("red", (900, 900)), b"nothing"):
            send(http, data)
        return len(os.listdir("/proc/self/fd"))

    before = several()
    assert max(several() for _ in range(4)) <= before + 1  # one may be on its way


@pytest.mark.parametrize("name", ["red.mp4", "red-then-blue.mp4", "rotated.mp4"])
@pytest.mark.parametrize("level", ["clip", "frame"])
def test_a_stored_video_that_is_sent_is_what_its_id_is(
    http: httpx.Client, films: Shelf, name: str, level: str
) -> None:
    path = films.films / name
    sent = send(http, path.read_bytes(), level=level, limit=100).json()["results"]
    mine = content_of(bytes(path)).id
    assert sent[0]["video_id"] == mine or sent[0]["score"] == 1.0
    by_id = http.post("/search", json={"query": [{"video_id": mine}], "level": level, "limit": 100})
    scores = {result["id"]: result["score"] for result in by_id.json()["results"]}
    others = {result["id"]: result["score"] for result in sent if result["video_id"] != mine}
    assert others and others == scores


def test_other_parts_and_options_stand_in_the_request(http: httpx.Client) -> None:
    red = picture("#d62024")
    more = [{"text": "green", "weight": 5}]
    assert paths(send(http, red, query=more, limit=1)) == ["films/green.mp4"]
    assert paths(send(http, red, query="green", limit=1)) != []
    less = [{"text": "red", "weight": -0.9}, {"image": base64_of(picture("blue"))}]
    assert paths(send(http, red, query=less, group_by="video"))[0] == "films/blue.mp4"
    assert len(send(http, red, level="video", limit=2).json()["results"]) == 2
    texts = send(http, red, target="texts")
    assert texts.status_code == 200 and texts.json()["results"] == []


def test_an_upload_is_paged_through_with_the_same_file(http: httpx.Client) -> None:
    red = picture("#d62024")
    how: dict[str, Any] = {"limit": 1, "merge_gap_s": None}
    first = send(http, red, **how).json()
    second = send(http, red, **how, cursor=first["next_cursor"]).json()
    assert second["results"][0]["id"] != first["results"][0]["id"]
    other = send(http, picture("blue"), **how, cursor=first["next_cursor"])
    assert refused(other, 400)["field"] == "cursor"
    steps = [{"query": "red"}, {"query": "blue"}]
    assert refused(send(http, red, sequence=steps), 400)["field"] == "sequence"


def test_a_request_may_be_sent_as_a_file_too(http: httpx.Client) -> None:
    files: Any = {"file": ("x", picture("red")), "request": ("blob", b'{"limit": 1}', "application/json")}
    assert len(paths(http.post("/search/upload", files=files))) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.mp4", "the file is empty (0 bytes)."),
        ("text.mp4", "the file is text, not a video."),
        ("truncated.mp4", "the file cannot be opened: it is damaged, cut short or of an unknown kind."),
        ("sound.m4a", "the file has only sound, no video."),
        (
            "playlist.m3u8",
            "the file is a playlist: it names other files and is not opened; give those files.",
        ),
        ("encrypted.mp4", "the file is encrypted."),
        ("picture.png", "the file cannot be decoded: it is damaged or cut short."),
    ],
)
def test_what_cannot_be_decoded_is_told_in_one_sentence(
    http: httpx.Client, broken: Path, name: str, says: str
) -> None:
    error = refused(send(http, (broken / name).read_bytes()), 422)
    assert error == {"type": "undecodable_media", "message": f"file: {says}", "field": "file"}


def test_a_video_that_is_too_long_is_refused(films: Shelf, videos: Path) -> None:
    with in_thread(ServedLibrary.of_data(films.folder / "data"), max_video_s=9) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        assert refused(send(http, (videos / "red.mp4").read_bytes()), 422)["message"] == (
            "file: the file is longer than 9 s."
        )
        assert paths(send(http, (videos / "red-then-blue.mp4").read_bytes()))


def test_what_takes_too_long_to_decode_costs_that_request(
    films: Shelf, videos: Path, decoders: Decoders
) -> None:
    with in_thread(ServedLibrary.of_data(films.folder / "data"), decode_seconds=0.25) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        decoders.signals.append(signal.SIGSTOP)
        says = "file: the file cannot be decoded: it takes longer than 0.25 s."
        assert refused(send(http, (videos / "red.mp4").read_bytes()), 422)["message"] == says
        assert http.post("/search", json={"query": "red"}).status_code == 200


def test_a_decoder_that_is_killed_costs_that_request(http: httpx.Client, decoders: Decoders) -> None:
    decoders.signals.append(signal.SIGKILL)
    answer = send(http, picture("red", (6_000, 6_000)))
    error = refused(answer, 503)
    assert error["type"] == "unavailable" and "killed by SIGKILL" in error["message"]
    assert answer.headers["retry-after"]
    assert paths(send(http, picture("red")))


def test_who_waits_for_a_decoder_holds_up_no_search_and_too_many_are_told_to_come_again(
    films: Shelf, decoders: Decoders
) -> None:
    limits = {"max_decoding": 1, "max_waiting": 0}
    with in_thread(ServedLibrary.of_data(films.folder / "data"), **limits) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        large, answers = picture("red", (4_000, 4_000)), list[httpx.Response]()
        decoders.signals.append(signal.SIGSTOP)
        first = threading.Thread(target=lambda: answers.append(send(http, large)))
        first.start()
        pid = decoders.pids.get(timeout=30)
        second = send(http, picture("red"))
        unread = answer_to_a_head(http, UPLOAD)
        searched = http.post("/search", json={"query": "red"})
        os.kill(pid, signal.SIGCONT)
        first.join()
    assert refused(second, 429)["type"] == "too_many_requests"
    assert " 429 " in unread, "no byte of a file is waited for that nobody will decode"
    assert searched.status_code == 200 and paths(answers[0])


def test_a_client_that_goes_away_ends_what_decodes_for_it(films: Shelf, decoders: Decoders) -> None:
    data = films.folder / "data"
    with in_thread(ServedLibrary.of_data(data), max_decoding=1, deadline_seconds=3_600) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        decoders.signals.append(signal.SIGSTOP)
        body = json.dumps({"query": [{"image": base64_of(picture("red", (4_000, 4_000)))}]})
        head = f"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", http.base_url.port or 0)) as client:
            client.sendall((head + body).encode())
            decoders.pids.get(timeout=30)
        assert paths(send(http, picture("red")))  # within its client's 30 s: it had 60 to decode


@pytest.mark.parametrize(
    ("request_", "field", "says"),
    [
        ({"limit": 0}, "limit", "limit: input should be greater than or equal to 1 (got 0)."),
        ({"limt": 1}, "limt", "limt is no field of a request; did you mean 'limit'?"),
        (
            {"query": [{"txt": "a"}]},
            "query[0].txt",
            "query[0].txt is no field of a request; did you mean 'text'?",
        ),
        ({"query": ""}, "query", None),
        (
            {"mode": "text"},
            "mode",
            "mode: \"text\" needs a query of texts alone, and a file is none (got 'text').",
        ),
        ({"cursor": "x"}, "cursor", None),
        ([], "request", "request must be a JSON object."),
    ],
    ids=str,
)
def test_a_wrong_request_is_told_as_to_search(
    http: httpx.Client, request_: Any, field: str | None, says: str | None
) -> None:
    files: Any = {"file": ("x", picture("red")), "request": (None, json.dumps(request_))}
    error = refused(http.post("/search/upload", files=files), 400)
    assert error["field"] == field
    assert says is None or error["message"] == says


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '{"limit": ' + "1" * 5_000 + "}", "\ud800".encode("utf-8", "surrogatepass")],
)
def test_a_request_that_is_no_json_is_refused(http: httpx.Client, text: str | bytes) -> None:
    for name in (None, "request.json"):
        files: Any = {"file": ("x", picture("red")), "request": (name, text)}
        assert refused(http.post("/search/upload", files=files), 400)["field"] in ("request", None)
    twice: Any = {"file": ("x", picture("red")), "request": (None, '{"limit": 1, "limit": 2}')}
    told = refused(http.post("/search/upload", files=twice), 400)["message"]
    assert told == "request has the field 'limit' twice in one object."


FORMS: list[tuple[dict[str, Any], str | None]] = [
    ({"files": {"request": (None, "{}")}}, "file"),
    ({"files": {"file": (None, "a text")}}, "file"),
    ({"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}, "file"),
    ({"files": {"file": ("a", b"a"), "other": ("b", b"b")}}, None),
    ({"files": [("file", ("a", b"a")), ("b", ("b", b"b")), ("c", ("c", b"c"))]}, None),
    ({"files": {"file": ("a", b"a"), "b": (None, "b"), "c": (None, "c")}}, None),
    ({"content": b"nothing", "headers": {"content-type": "multipart/form-data; boundary=x"}}, None),
    ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "file"),
    ({"content": b"--x\r\n\r\n", "headers": {"content-type": "multipart/form-data"}}, None),
    (
        {"content": b"--x\r\nA: b\r\n\r\n1", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        None,
    ),
]


@pytest.mark.parametrize(("form", "field"), FORMS, ids=lambda each: str(each)[:40])
def test_a_form_that_is_no_upload_is_refused(
    http: httpx.Client, form: dict[str, Any], field: str | None
) -> None:
    assert refused(http.post("/search/upload", **form), 400)["field"] == field


def test_only_a_form_is_taken_here_and_nowhere_else(http: httpx.Client) -> None:
    bodies: tuple[Any, ...] = ({"json": {"query": "red"}}, {"content": b"x"}, {"data": {"a": "b"}})
    for sent in bodies:
        assert refused(http.post("/search/upload", **sent), 415)["type"] == "unsupported_media_type"
    for path in ("/search", "/embed", "/search/upload/"):
        assert refused(http.post(path, files={"file": ("a", b"a")}), 415)


def test_an_upload_has_a_limit_of_its_own(http: httpx.Client) -> None:
    noise = os.urandom(MIB * 3 // 2)
    assert refused(send(http, noise), 422)["field"] == "file"  # of two MiB there is room for it
    big = noise * 2
    assert refused(send(http, big), 413)["type"] == "too_large"
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    content = (piece for piece in (head, *[bytes(MIB)] * 3, b"\r\n--x--\r\n"))
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert refused(http.post("/search/upload", content=content, headers=headers), 413)


def test_where_nothing_can_be_kept_it_is_unavailable(
    http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    error = refused(send(http, picture("red")), 503)
    assert error["message"] == "What was sent cannot be kept to be decoded; the log says why."
    assert "kept" in refused(send(http, os.urandom(MIB * 3 // 2)), 503)["message"]
    (tmp_path / "gone").mkdir()
    assert paths(send(http, picture("red")))
    shutil.rmtree(tmp_path / "gone")
