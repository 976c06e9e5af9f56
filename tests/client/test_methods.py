"""Each method, sync and async, against a real server of real films."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cinedex_client import (
    Answer,
    ApiError,
    Client,
    Conflict,
    Forbidden,
    Gone,
    InvalidRequest,
    NotFound,
    SequenceResult,
    TooLarge,
    Unauthorized,
    UndecodableMedia,
)
from PIL import Image

from tests.client.conftest import Ask
from tests.server.conftest import Running, in_thread
from tests.server.filmed import Films
from tests.server.sent import base64_of, picture
from tests.server.worlds import id_of

NAMES = ("red.mp4", "green.mp4", "red-then-blue.mp4")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Films:
    return Films.copied(videos, tmp_path_factory.mktemp("films"), *NAMES)


@pytest.fixture(scope="module")
def url(films: Films) -> Iterator[str]:
    with in_thread(films.library(), max_upload_mb=1) as http, Client(str(http.base_url)) as client:
        while not client.ready().ready:  # the encoder loads beside it
            pass
        yield str(http.base_url)


@pytest.fixture(scope="module")
def ids(url: str) -> dict[str, str]:
    """The videos' ids by their names."""
    with Client(url) as client:
        return {Path(video.path).name: video.video_id for video in client.videos()}


def best(answer: Answer) -> str:
    return answer.moments[0].path


def test_pictures_vectors_and_rows_are_asked_with(url: str, ask: Ask, tmp_path: Path) -> None:
    green = picture("lime")
    (tmp_path / "green.png").write_bytes(green)
    for image in (green, tmp_path / "green.png", base64_of(green)):
        assert best(ask(url, "search", [{"image": image}])) == "films/green.mp4"
    (vector,) = ask(url, "embed", ["green"]).vectors
    found = ask(url, "search", [{"vector": vector}])
    assert best(found) == "films/green.mp4"
    pushed = ask(url, "search", [{"id": found.moments[0].id}, {"text": "red", "weight": -1}], limit=1)
    assert (
        pushed.moments[0].video_id != found.moments[0].video_id or pushed.moments[0].id != found.moments[0].id
    )


def test_files_are_uploaded(url: str, ask: Ask, videos: Path) -> None:
    assert best(ask(url, "upload", picture("lime"), limit=1)) == "films/green.mp4"
    assert best(ask(url, "upload", videos / "green.mp4", limit=1)) == "films/green.mp4"
    both = ask(url, "upload", str(videos / "green.mp4"), "red", group_by="video")
    assert len(both.results) == 3
    with pytest.raises(UndecodableMedia, match="file: the file is text") as caught:
        ask(url, "upload", __file__)
    assert caught.value.field == "file"
    with pytest.raises(TooLarge):
        ask(url, "upload", bytes(3 << 20))
    with pytest.raises(FileNotFoundError):
        ask(url, "upload", "no such file")


def test_texts_and_pictures_become_vectors(url: str, ask: Ask) -> None:
    texts = ask(url, "embed", ["red", "green"])
    images = ask(url, "embed", images=[picture("red"), picture("lime")], encoder="toy:rgb")
    assert [*map(len, texts.vectors)] == [*map(len, images.vectors)] == [12, 12]
    assert texts.truncated == [False, False]


def test_a_search_is_paged_through(url: str, ask: Ask) -> None:
    everything = ask(url, "search", "red", level="frame", merge_gap_s=None, limit=1_000).results
    asked: dict[str, Any] = {"level": "frame", "merge_gap_s": None, "limit": 17}
    pages = ask(url, "pages", "red", **asked)
    assert [len(page.results) for page in pages[:-1]] == [17] * (len(everything) // 17)
    assert [each.id for each in ask(url, "search_all", "red", **asked)] == [each.id for each in everything]
    behind = ask(url, "search_all", "red", cursor=pages[0].next_cursor, **asked)
    assert [each.id for each in behind] == [each.id for each in everything[17:]]
    with pytest.raises(InvalidRequest, match=r"^cursor: goes with another body"):
        ask(url, "search", "green", cursor=pages[0].next_cursor, **asked)


def test_sequences_and_what_results_carry(url: str, ask: Ask) -> None:
    steps = [{"query": "red"}, {"query": [{"text": "blue"}]}]
    found = ask(url, "search", sequence=steps, within_s=9, level="frame", limit=1)
    (first,) = found.results
    assert isinstance(first, SequenceResult) and first.path == "films/red-then-blue.mp4"
    assert [step.id for step in found.moments] == [step.id for step in first.steps if step is not None]
    (result,) = ask(url, "search", "red", include=["scores", "explain", "vector"], limit=1).results
    assert len(result.vector) == 12 and len(result.scores) == 1 and result.explain.ranks["visual"] == 1


def test_a_batch_has_an_answer_or_an_error_each(url: str, ask: Ask) -> None:
    found, wrong, missing = ask(
        url,
        "batch",
        [{"query": "red", "limit": 1}, {"query": "red", "limit": 0}, {"query": "red", "collection": "no"}],
    )
    assert isinstance(found, Answer) and best(found).startswith("films/red")
    assert isinstance(wrong, InvalidRequest) and wrong.status == 400 and wrong.field == "limit"
    assert isinstance(missing, NotFound) and missing.request_id == wrong.request_id != ""


def test_videos_are_listed_and_told(url: str, ask: Ask, ids: dict[str, str]) -> None:
    listed = ask(url, "videos", limit=2)
    assert [video.path for video in listed] == sorted(f"films/{name}" for name in NAMES)
    assert [video.path for video in ask(url, "videos", prefix="films/g")] == ["films/green.mp4"]
    green = ask(url, "video", ids["green.mp4"])
    assert green in listed and green.seconds == pytest.approx(10, abs=0.1)
    with pytest.raises(NotFound) as caught:
        ask(url, "video", "v-none/../..")
    assert caught.value.type == "not_found"


def test_pictures_clips_and_files_are_fetched(
    url: str, ask: Ask, films: Films, ids: dict[str, str], tmp_path: Path
) -> None:
    id = ids["red-then-blue.mp4"]
    stored, exact = ask(url, "thumbnail", id, 6.0), ask(url, "thumbnail", id, 6.0, exact=True)
    assert Image.open(io.BytesIO(stored)).format == Image.open(io.BytesIO(exact)).format == "JPEG"
    whole = (films.folder / "red-then-blue.mp4").read_bytes()
    (tmp_path / f".film.mp4.{id}.part").write_bytes(whole[: len(whole) // 2])
    assert ask(url, "media", id, tmp_path / "film.mp4").read_bytes() == whole
    clip = ask(url, "clip", id, tmp_path / "clip.mp4", start=4, end=6)
    assert clip.read_bytes()[4:8] == b"ftyp"
    with pytest.raises(InvalidRequest, match=r"^end: must be above start"):
        ask(url, "clip", id, tmp_path / "none.mp4", start=4, end=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "film.mp4"]


def test_a_video_is_tagged_looked_through_and_not_captioned(url: str, ask: Ask, ids: dict[str, str]) -> None:
    id = ids["red-then-blue.mp4"]
    tagged = ask(url, "tag", ids["red.mp4"], ["blue", "red"], templates=["{}"], end=3.0)
    assert [label.label for label in tagged.labels] == ["red", "blue"]
    assert len(ask(url, "tag", id, ["blue", "red"], limit=1).labels) == 1
    located = ask(url, "locate", id, ["red", "blue"])
    starts = [ranges[0].start for ranges in located.ranges]
    assert starts[0] < starts[1] and len(located.scores[0]) == len(located.times)
    with pytest.raises(Conflict, match="cannot write captions"):
        ask(url, "caption", id)


def test_what_is_like_a_video_is_found_page_by_page(url: str, ask: Ask, ids: dict[str, str]) -> None:
    red = ids["red.mp4"]
    first = ask(url, "similar", red, level="frame", group_by="video", limit=1)
    assert best_video(first) == "films/red-then-blue.mp4"
    more = ask(url, "similar", red, level="frame", group_by="video", limit=1, cursor=first.next_cursor)
    assert best_video(more) != best_video(first)


def best_video(answer: Answer) -> str:
    return answer.results[0].path


def test_results_come_as_a_file(url: str, ask: Ask) -> None:
    exported = ask(url, "export", "green", format="edl", frame_rate="30", media_prefix="/mnt", limit=1)
    assert exported.startswith(b"TITLE: green\r\n")
    assert b"* SOURCE FILE: /mnt/films/green.mp4\r\n" in exported


def test_what_is_served_is_told(url: str, ask: Ask) -> None:
    assert ask(url, "health") and ask(url, "ready").ready
    (collection,) = ask(url, "collections")
    assert [encoder.name for encoder in collection.encoders] == ["toy:rgb"]


def test_a_server_with_keys_wants_one(
    keyed_server: Running, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, key = keyed_server.url, keyed_server.keys["read"]
    with pytest.raises(Unauthorized):
        ask(server, "search", "red")
    assert best(ask(server, "search", "red", settings={"key": f"{key}\n"})) == "films/red-then-blue.mp4"
    with pytest.raises(Forbidden):
        ask(server, "delete", id_of("green"), settings={"key": key})
    monkeypatch.setenv("CINEDEX_KEY", key)
    assert ask(server, "collections")
    with pytest.raises(Unauthorized):
        ask(server, "collections", settings={"key": ""})


def test_a_cursor_of_a_snapshot_that_is_no_more_is_gone(url: str, ask: Ask) -> None:
    from server.cursor import Cursor

    page = ask(url, "search", "red", limit=1)
    cursor = Cursor.read(page.next_cursor)
    forged = replace(cursor, snapshot=99, position=1)
    with pytest.raises(Gone) as caught:
        ask(url, "search", "red", limit=1, cursor=forged.token())
    assert isinstance(caught.value, ApiError) and caught.value.status == 410
