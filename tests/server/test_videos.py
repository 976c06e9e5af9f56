"""The list of videos: its order, its pages, and what it costs where there are many."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from core.log import Task
from core.types import Facts, Place, Segment, Source
from core.writer import Writer
from index.catalogue import page
from index.snapshot import Snapshot
from server.library import ServedLibrary
from tests.server.conftest import Running, in_thread
from tests.server.worlds import Shelf, id_of, until, vector


def names(answer: dict[str, Any]) -> list[str]:
    return [each["path"] for each in answer["videos"]]


def test_videos_come_by_path_and_without_texts(sample_server: Running) -> None:
    found = sample_server.http.get("/videos").json()
    assert names(found) == ["films/blue-then-white.mp4", "films/green.mp4", "films/red-then-blue.mp4"]
    assert (found["total"], found["next_cursor"]) == (3, None)


def test_one_video_is_told_as_in_the_list(sample_server: Running) -> None:
    id = id_of("green")
    found = sample_server.http.get(f"/videos/{id}").json()
    assert found in sample_server.http.get("/videos").json()["videos"]
    assert found["rows"] == {"frame": 20, "clip": 4}
    assert (found["seconds"], found["metadata"], found["paths"]) == (
        20,
        {"tag": "sample"},
        ["films/green.mp4"],
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "MTI"}, "cursor"),
        ({"order": "size"}, "order"),
        ({"root": ""}, "root"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    sample_server: Running, query: dict[str, Any], field: str
) -> None:
    answer = sample_server.http.get("/videos", params=query)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 6_000,
        '{"a":1,"b":2}',
        '"ab"',
        '["a"]',
        '["a",1]',
        '["a", "b"]',
        '["a",["b"]]',
        "1" * 5_000,
        '["\\ud800","b"]',
        '["\\u00e9","b"]',
    ],
)
def test_a_cursor_that_nobody_gave_is_refused(sample_server: Running, text: str) -> None:
    cursor = urlsafe_b64encode(text.encode()).decode().rstrip("=")
    answer = sample_server.http.get("/videos", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor")


@pytest.mark.parametrize("id", ["v-none", id_of("a red thing", "t")])
def test_an_id_of_no_video_is_not_found(sample_server: Running, id: str) -> None:
    answer = sample_server.http.get(f"/videos/{id}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (404, "video_id")


@pytest.fixture
def http(shelf: Shelf) -> Iterator[httpx.Client]:
    shelf.add({f"{letter}/{number}": [("red", 2)] for letter in "ab" for number in range(5)})
    shelf.copied("a/3", "b/00.mp4")
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def walk(http: httpx.Client, **asked: Any) -> list[str]:
    found, cursor = list[str](), None
    while True:
        answer = http.get("/videos", params=asked | ({"cursor": cursor} if cursor else {})).json()
        found += [each["video_id"] for each in answer["videos"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            assert len(found) == answer["total"] == len(set(found))
            return found


def test_pages_of_any_size_hold_every_video_once(http: httpx.Client) -> None:
    whole = walk(http)
    assert len(whole) == 13
    for limit in (1, 2, 5, 13):
        assert walk(http, limit=limit) == whole


def test_a_root_and_a_prefix_narrow_it_to_any_place_of_a_video(http: httpx.Client) -> None:
    assert len(walk(http, root="films")) == 13 and walk(http, root="film") == []
    assert len(walk(http, prefix="films/a/", limit=2)) == 5
    assert walk(http, prefix="films/b/", limit=2)[:2] == [id_of("b/0"), id_of("a/3")]
    assert walk(http, prefix="films/b/", root="other") == []


def test_a_long_path_in_any_script_has_room_in_the_address_of_the_next_page(
    shelf: Shelf, http: httpx.Client
) -> None:
    letters = "映画" * 40  # as long as a name may be: 240 bytes
    long = "/".join([letters] * 16)
    shelf.add({f"{long}/{number}": [("red", 2)] for number in range(2)})
    shelf.build()
    until(lambda: http.get("/videos").json()["total"] == 15)
    assert len(walk(http, limit=1, prefix=f"films/{letters[:3]}")) == 2


def test_a_removed_video_is_gone_and_the_pages_go_on(shelf: Shelf, http: httpx.Client) -> None:
    first = http.get("/videos", params={"limit": 2}).json()
    shelf.remove("a/1")
    until(lambda: http.get("/videos").json()["total"] == 12)
    rest = http.get("/videos", params={"limit": 100, "cursor": first["next_cursor"]}).json()["videos"]
    assert id_of("a/1") not in [each["video_id"] for each in rest]
    assert len(rest) == 13 - 2 - (id_of("a/1") not in [each["video_id"] for each in first["videos"]])


def test_a_page_of_many_videos_is_quick(tmp_path: Path) -> None:
    shelf, count = Shelf.make(tmp_path / "data"), 10_000
    writer, since, row = Writer(shelf.store), shelf.store.log.last().number, vector("red")[None]
    for number in range(count):
        id = id_of(str(number))
        task = Task(Place("films", b"%06d.mp4" % number, "1"), since)
        writer.add(task, Source(id), {"frame": ([Segment(id, 0.0, 1.0)], row)}, Facts(seconds=1.0))
    writer.commit()
    shelf.build()
    view = Snapshot.open(shelf.store)
    page(view, [], None, 1)  # makes what is kept
    began = time.process_time()
    for _ in range(5):
        found = page(view, ["films/00"], ("films/007500.mp4", "v-"), 100)
    assert (time.process_time() - began) / 5 < 0.1
    assert found.total == count and found.videos[0].path == "films/007500.mp4"
    assert all(each.rows["frame"] == 1 for each in found.videos)
    assert np.all(np.diff([int(each.path[6:12]) for each in found.videos]) == 1)
