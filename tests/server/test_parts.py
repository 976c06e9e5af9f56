"""Parts of a query that are no texts: pictures, rows, vectors, and what pushes away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from core.errors import NoTextsError
from core.query import Frames, Part, Query
from core.types import Kind, Line, Look
from index.snapshot import Snapshot
from server.errors import ApiError
from server.library import ServedLibrary
from server.rows import line_number
from server.schemas.search import Result
from server.searcher import Searcher
from server.shown import shown
from tests.server.conftest import Running, in_thread
from tests.server.sent import base64_of, picture, png
from tests.server.test_errors import refusal
from tests.server.test_lines import told
from tests.server.test_search import ask, ids
from tests.server.worlds import TOY, id_of, samples, until, vector

RED, GREEN, BLUE = id_of("red-then-blue"), id_of("green"), id_of("blue-then-white")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The samples, in a thread of this process: what decodes is started once for all of these tests."""
    data = tmp_path_factory.mktemp("parts") / "data"
    samples(data)
    with in_thread(ServedLibrary.of_data(data)) as client:
        until(lambda: client.get("/readyz").status_code == 200, 60)
        yield client


def post(http: httpx.Client, query: Any, **fields: Any) -> dict[str, Any]:
    answer = http.post("/search", json={"query": query, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(http: httpx.Client, status: int, body: dict[str, Any]) -> Any:
    answer = http.post("/search", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["message"].endswith(".") and "/tmp" not in error["message"]
    return error


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_finds_what_looks_like_it(http: httpx.Client, kind: str) -> None:
    answer = post(http, [{"image": base64_of(picture("red", kind=kind))}])
    assert ids(answer)[0] == RED and answer["results"][0]["score"] > 0.99
    assert answer["results"][0]["matched_on"] == ["visual"]


def test_a_picture_finds_texts(http: httpx.Client) -> None:
    answer = post(http, [{"image": base64_of(picture("#00f000"))}], target="texts")
    assert answer["results"][0]["text"] == "something green"


def test_base64_may_be_broken_into_lines(http: httpx.Client) -> None:
    text = base64_of(picture("red"))
    broken = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    assert post(http, [{"image": broken}])["results"] == post(http, [{"image": text}])["results"]


def test_pictures_and_texts_are_mixed_by_their_weights(http: httpx.Client) -> None:
    red, blue = base64_of(picture("red")), base64_of(picture("blue"))
    mostly = [{"image": red, "weight": 3}, {"text": "green"}, {"image": blue, "weight": 0.5}]
    wanted = 3 * vector("red") + vector("green") + 0.5 * vector("blue")
    score = float(vector("red") @ wanted / np.linalg.norm(wanted))
    assert post(http, mostly)["results"][0]["score"] == pytest.approx(score, abs=1e-5)


IMAGES = {
    "no base64": ("%%%", 400, "must be base64, without the prefix of a data: URL"),
    "a data URL": (
        "data:image/png;base64,aGVsbG8=",
        400,
        "must be base64, without the prefix of a data: URL",
    ),
    "a number": (5, 400, "must be base64, in a string"),
    "a text": (base64_of(b"hello, this is no picture"), 422, "the picture is no JPEG, PNG or WebP."),
    "nothing": ("", 422, "the picture is no JPEG, PNG or WebP."),
    "a GIF": (base64_of(picture("red", kind="GIF")), 422, "the picture is no JPEG, PNG or WebP."),
    "cut short": (
        base64_of(picture("red", (640, 480), "JPEG")[:400]),
        422,
        "the picture cannot be decoded: it is damaged or cut short.",
    ),
    "100 megapixels": (
        base64_of(png(10_000, 10_000, b"")),
        422,
        "the picture has more than 64 megapixels (10000 × 10000).",
    ),
    "4 gigapixels": (base64_of(png(65_000, 65_000, b"")), 422, "the picture has more than 64 megapixels."),
}


@pytest.mark.parametrize(("image", "status", "says"), IMAGES.values(), ids=IMAGES)
def test_what_is_no_picture_is_refused_in_one_sentence(
    http: httpx.Client, image: Any, status: int, says: str
) -> None:
    error = refused(http, status, {"query": [{"text": "red"}, {"image": image}]})
    assert error["field"] == "query[1].image"
    assert error["message"].startswith(f"query[1].image: {says}")
    assert error["type"] == ("invalid_request" if status == 400 else "undecodable_media")


def test_a_png_that_holds_more_than_its_header_says_costs_nothing(http: httpx.Client) -> None:
    bomb = png(8, 8, bytes(100 << 20))
    assert len(bomb) < 200_000
    assert http.post("/search", json={"query": [{"image": base64_of(bomb)}]}).status_code in (200, 422)
    assert post(http, "red")["results"]


@pytest.mark.parametrize("kind", ["clip", "frame"])
def test_a_row_finds_what_is_like_it_and_not_its_own_seconds(sample_server: Running, kind: str) -> None:
    answer = ask(sample_server, [{"id": f"{RED}/{kind}/12000"}], level="frame", limit=20)
    assert ids(answer)[0] in (RED, BLUE) and answer["results"][0]["score"] == 1.0
    own = {"clip": (12.0, 20.0), "frame": (12.0, 13.0)}[kind]
    for result in answer["results"]:
        is_outside = result["end"] <= own[0] or result["start"] >= own[1]
        assert result["video_id"] != RED or is_outside


def test_every_id_of_an_answer_can_be_asked_with(tmp_path: Path) -> None:
    searcher = Searcher("default", TOY, Snapshot.open(told(tmp_path).store))
    asked: list[tuple[str, Kind | None]] = [("videos", "clip"), ("videos", "frame"), ("texts", None)]
    for target, kind in asked:
        found = searcher.answer(Query((Part(text="orange"),), target=target, kind=kind, mode="visual"))
        mine = [result.id for result in shown(found).results if isinstance(result, Result)]
        assert mine
        for id in mine:
            again = shown(searcher.answer(Query((Part(row=id),), target=target, kind=kind)))
            assert id not in [result.id for result in again.results if isinstance(result, Result)]


def test_a_line_is_asked_with_by_its_words(tmp_path: Path) -> None:
    lines = (Line(1.0, 3.0, "purple haze"), Line(1.0, 3.0, "an orange one"), Line(9.0, 11.0, "a white one"))
    searcher = Searcher("default", TOY, Snapshot.open(told(tmp_path, *lines).store))
    for line in lines:
        row = f"{id_of('green')}/text/{round(line.start * 1000)}-{line_number(line.text)}"
        answer = searcher.answer(Query((Part(row=row),), kind="clip"))
        expected = searcher.answer(Query((Part(text=line.text),), kind="clip", mode="visual"))
        (mine,) = {
            found.moment.score for group in answer.results for found in group if found.moment.source == RED
        }
        (theirs,) = {g.moment.score for group in expected.results for g in group if g.moment.source == RED}
        assert mine == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize(
    ("row", "status", "type"),
    [
        (f"{RED}/clip/0", 200, ""),
        (f"{RED}/clip/1", 404, "not_found"),
        (f"{RED}/frame/999999999999999", 404, "not_found"),
        ("v-none/clip/0", 404, "not_found"),
        (f"{RED}/text/0-1", 404, "not_found"),
        (RED, 400, "invalid_request"),
        (f"{RED}/clip/0-1", 400, "invalid_request"),
        (f"{RED}/text/0", 400, "invalid_request"),
        (f"{RED}/clip/٣", 400, "invalid_request"),
        (f"{RED}/clips/0", 400, "invalid_request"),
        ("../../etc/passwd", 400, "invalid_request"),
        ("", 400, "invalid_request"),
        ("\u0000/clip/0", 404, "not_found"),
    ],
)
def test_what_is_no_row_is_refused(sample_server: Running, row: str, status: int, type: str) -> None:
    body = {"query": [{"text": "red"}, {"id": row}]}
    if status == 200:
        assert sample_server.http.post("/search", json=body).status_code == 200
    else:
        assert refusal(sample_server, status, type, json=body)["field"] == "query[1].id"


def test_a_vector_finds_what_its_text_finds_whatever_its_length(sample_server: Running) -> None:
    plain = ask(sample_server, "red", mode="visual")["results"]
    for scale in (1.0, 2.5, 1e300, 1e-300):
        sent = [float(number) * scale for number in vector("red")]
        assert ask(sample_server, [{"vector": sent}])["results"][0]["score"] == plain[0]["score"]


@pytest.mark.parametrize(
    "sent",
    [
        *([], [0] * 12, [0.0] * 12, [1.0] * 11, [1.0] * 13, ["1"] * 12, [None] * 12, [True] * 12),
        *([float("nan")] * 12, [float("inf")] * 12, 5, "red", [[1.0] * 12], [1.0] * 70_000),
    ],
    ids=lambda sent: str(sent)[:30],
)
def test_what_is_no_vector_of_the_encoder_is_refused(sample_server: Running, sent: Any) -> None:
    error = refusal(sample_server, 400, "invalid_request", content=json.dumps({"query": [{"vector": sent}]}))
    assert error["field"].startswith("query[0].vector")


class Long:
    """The toy, with vectors of length 2."""

    spec = TOY.spec

    def texts(self, texts: list[str]) -> Any:
        return TOY.texts(texts) * 2

    def too_long(self, texts: list[str]) -> list[bool]:
        return TOY.too_long(texts)


def test_a_vector_stays_as_long_as_it_is_where_the_encoders_have_any_length(tmp_path: Path) -> None:
    searcher = Searcher("default", Long(), Snapshot.open(samples(tmp_path).store))  # type: ignore[arg-type]
    three = tuple(3 * float(number) for number in vector("red"))
    answer = searcher.answer(Query((Part(vector=three),)))
    assert answer.results[0][0].moment.score == pytest.approx(3.0, abs=1e-3)
    for wrong in (1e-9, 1e9):
        with pytest.raises(ApiError, match=r"query\[0\]\.vector: its length is 1e[-+]09, as of no row\."):
            searcher.answer(Query((Part(vector=(wrong, *[0.0] * 11)),)))


class Textless(Long):
    """Reads no texts."""

    def texts(self, texts: list[str]) -> Any:
        raise NoTextsError("textless is of pictures alone.")


def test_a_vector_is_brought_to_the_length_of_stored_rows_where_no_text_tells_it(tmp_path: Path) -> None:
    searcher = Searcher("default", Textless(), Snapshot.open(samples(tmp_path).store))  # type: ignore[arg-type]
    answer = searcher.answer(Query((Part(vector=tuple(3 * float(number) for number in vector("red"))),)))
    assert answer.results[0][0].moment.score == pytest.approx(1.0, abs=1e-3)


def test_what_pushes_is_found_last(sample_server: Running) -> None:
    both = ask(sample_server, "blue", level="frame", limit=20)
    less = ask(sample_server, [{"text": "blue"}, {"text": "white", "weight": -1}], level="frame", limit=20)
    assert ids(both)[0] in (RED, BLUE)
    last = less["results"][-1]
    assert (last["video_id"], last["start"], last["end"]) == (BLUE, 8.0, 16.0) and last["score"] < 0
    wanted = vector("blue") - vector("white")
    wanted /= np.linalg.norm(wanted)
    assert less["results"][0]["score"] == pytest.approx(float(wanted @ vector("blue")), abs=1e-5)


def test_weights_below_nought_count_by_their_size_where_vectors_have_any_length(tmp_path: Path) -> None:
    searcher = Searcher("default", Long(), Snapshot.open(samples(tmp_path).store))  # type: ignore[arg-type]
    parts = (Part(text="blue", weight=3.0), Part(text="white", weight=-1.0))
    best = searcher.answer(Query(parts, kind="frame")).results[0][0].moment
    assert best.score == pytest.approx(2 * 3 / 4, abs=1e-3)


def test_parts_that_cancel_each_other_out_are_refused(sample_server: Running) -> None:
    body = {"query": [{"text": "red"}, {"text": "red", "weight": -1}]}
    error = refusal(sample_server, 400, "invalid_request", json=body)
    assert (error["field"], error["message"]) == ("query", "query: its parts cancel each other out.")


def test_something_must_pull(sample_server: Running) -> None:
    body = {"query": [{"text": "red", "weight": -1}, {"video_id": RED, "weight": -2}]}
    error = refusal(sample_server, 400, "invalid_request", json=body)
    assert error["message"] == "query: must have a part with a weight above 0."


def test_words_push_nothing_away(tmp_path: Path, sample_server: Running) -> None:
    body = {"query": [{"text": "red"}, {"text": "blue", "weight": -1}], "mode": "text"}
    assert refusal(sample_server, 400, "invalid_request", json=body)["field"] == "mode"
    searcher = Searcher("default", TOY, Snapshot.open(told(tmp_path).store))
    parts = (Part(text="green"), Part(text="orange", weight=-0.5))
    found = [each.moment for group in searcher.answer(Query(parts, mode="hybrid")).results for each in group]
    assert found and not any("orange" in moment.text for moment in found)


def test_options_that_an_encoder_has_not_are_refused_by_name(sample_server: Running) -> None:
    for mode in (None, "text"):
        body = {"query": "red", "encoder_options": {"w": 0.5}, "mode": mode}
        error = refusal(sample_server, 400, "invalid_request", json=body)
        assert error["field"] == "encoder_options.w"
        assert error["message"] == "encoder_options.w: the encoder toy:rgb has no options."
    assert ask(sample_server, "red", encoder_options={})["results"]


def test_a_picture_that_was_decoded_for_another_look_is_not_taken_for_this_one(tmp_path: Path) -> None:
    searcher = Searcher("default", TOY, Snapshot.open(samples(tmp_path).store))
    frames = Frames(np.zeros((1, 48, 48, 3), np.uint8), Look(size=48))
    with pytest.raises(ApiError, match="was changed while a picture was decoded") as raised:
        searcher.answer(Query((Part(frames=frames),)))
    assert raised.value.http_status == 503


def test_a_collection_that_is_not_there_is_told_before_anything_is_decoded(http: httpx.Client) -> None:
    body = {"query": [{"image": base64_of(b"no picture")}], "collection": "others"}
    assert refused(http, 404, body)["field"] == "collection"


def test_steps_of_a_sequence_may_be_pictures(http: httpx.Client) -> None:
    red, blue = ([{"image": base64_of(picture(colour))}] for colour in ("red", "blue"))
    steps = [{"query": red}, {"query": blue}]
    found = http.post("/search", json={"sequence": steps, "level": "frame"})
    assert found.status_code == 200, found.text
    first, second = found.json()["results"][0]["steps"]
    assert first["video_id"] == second["video_id"] == RED and first["start"] < 12 <= second["start"]
    error = refused(http, 422, {"sequence": [steps[0], {"query": [{"image": "aGVsbG8="}]}]})
    assert error["field"] == "sequence[1].query[0].image"
    error = refused(http, 404, {"sequence": [steps[0], {"query": [{"id": f"{RED}/clip/1"}]}]})
    assert error["field"] == "sequence[1].query[0].id"


def test_each_search_of_a_batch_has_its_own_pictures(http: httpx.Client) -> None:
    asked = [
        {"query": [{"image": base64_of(picture("red"))}]},
        {"query": [{"image": "aGVsbG8="}]},
        {"query": [{"image": base64_of(picture("#00f000"))}]},
        {"query": [{"imag": ""}]},
    ]
    red, wrong, green, misspelt = http.post("/search/batch", json={"requests": asked}).json()["answers"]
    assert (ids(red)[0], ids(green)[0]) == (RED, GREEN)
    assert (wrong["error"]["type"], wrong["error"]["field"]) == ("undecodable_media", "query[0].image")
    assert misspelt["error"]["message"].endswith("did you mean 'image'?")


def test_a_picture_is_paged_through_with_the_same_picture(http: httpx.Client) -> None:
    asked: dict[str, Any] = {"query": [{"image": base64_of(picture("red"))}], "limit": 1, "merge_gap_s": None}
    first = http.post("/search", json=asked).json()
    second = http.post("/search", json=asked | {"cursor": first["next_cursor"]}).json()
    assert second["results"][0]["id"] != first["results"][0]["id"]
    asked["query"] = [{"image": base64_of(picture("blue"))}]
    assert refused(http, 400, asked | {"cursor": first["next_cursor"]})["field"] == "cursor"
