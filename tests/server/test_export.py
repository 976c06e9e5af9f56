"""Results as files: JSON, a table for spreadsheets, and edit decision lists as editors read them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import opentimelineio
import pytest

from core.log import Task
from core.types import Facts, Place, Source, canonical
from core.writer import Writer
from server.exports.table import COLUMNS
from server.library import ServedLibrary
from tests.server.conftest import Running, in_thread
from tests.server.filmed import Films
from tests.server.worlds import Scenes, Shelf, id_of, until, video_rows

FORMULA = '=cmd|"/c calc"!A0.mp4'
BROKEN = "two\n999  AX V C 00:00:00:00 00:00:01:00 01:00:00:00 01:00:01:00\nlines.mp4"


@dataclass(frozen=True)
class Film:
    """A file as its container tells it."""

    path: str
    scenes: Scenes
    facts: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)

    def put(self, shelf: Shelf) -> None:
        id, writer = id_of(self.path), Writer(shelf.store)
        seconds = float(sum(length for _, length in self.scenes))
        task = Task(Place("films", self.path.encode(), "1"), shelf.store.log.last().number)
        facts = Facts(**{"seconds": seconds, "size": 1} | self.facts)
        writer.add(task, Source(id), video_rows(id, self.scenes), facts, columns=canonical(self.columns))
        writer.commit()


FILMS = [
    Film("pal.mp4", [("red", 12), ("blue", 12)], {"frame_rate": "25"}, {"title": "=1+1", "tags": ["a", "b"]}),
    Film(
        "cards/A001C003.mov",
        [("green", 8), ("red", 8)],
        {"frame_rate": "30000/1001", "timecode": "00:59:58;00"},
        {"take": 3, "is_good": True},
    ),
    Film("film.mxf", [("white", 8)], {"frame_rate": "24000/1001", "timecode": "10:00:00:00"}),
    Film(FORMULA, [("black", 8)], {"frame_rate": "25"}),
    Film(BROKEN, [("yellow", 8)], {"frame_rate": "25"}, {"note": "'quoted'", "total": "-5"}),
    Film("кино, часть 1.avi", [("magenta", 8)]),
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("exported") / "data"
    shelf = Shelf.make(data)
    for film in FILMS:
        film.put(shelf)
    shelf.add(texts=["@a red thing"])
    shelf.build()
    with in_thread(ServedLibrary.of_data(data)) as served:
        until(lambda: served.get("/readyz").status_code == 200)
        yield served


def exported(http: httpx.Client, format: str, search: dict[str, Any], **more: Any) -> httpx.Response:
    answer = http.post("/export", json={"search": search, "format": format, **more})
    assert answer.status_code == 200, answer.text
    return answer


def table(answer: httpx.Response) -> list[dict[str, str]]:
    text = answer.content.decode("utf-8-sig")
    return [*csv.DictReader(io.StringIO(text, newline=""), strict=True)]


def edited(answer: httpx.Response, rate: float) -> list[Any]:
    timeline = opentimelineio.adapters.read_from_string(answer.text, "cmx_3600", rate=rate)
    (track,) = timeline.tracks
    assert all(isinstance(each, opentimelineio.schema.Clip) for each in track), "no gaps"
    return [*track]


def frames(clip: Any) -> tuple[int, int]:
    return int(clip.source_range.start_time.value), int(clip.source_range.duration.value)


def test_json_is_the_answer_of_a_search_with_the_prefix_before_its_paths(http: httpx.Client) -> None:
    search = {"query": "red", "limit": 3}
    answer = exported(http, "json", search, media_prefix="/Volumes/media/")
    plain = http.post("/search", json=search).json()
    found = answer.json()
    assert found.keys() == plain.keys()
    results = exported(http, "json", search).json()["results"]
    assert results == plain["results"]
    assert {**found, "took_ms": 0, "results": 0} == {**plain, "took_ms": 0, "results": 0}
    prefixed = answer.json()["results"][0]
    assert prefixed["path"] == "/Volumes/media/" + results[0]["path"]
    assert prefixed["paths"] == [prefixed["path"]]
    assert answer.headers["content-type"] == "application/json"


def test_a_prefix_of_windows_gets_windows_paths(http: httpx.Client) -> None:
    answer = exported(http, "csv", {"query": "green", "limit": 1}, media_prefix="D:\\media")
    assert table(answer)[0]["path"] == "D:\\media\\films\\cards\\A001C003.mov"


def test_a_table_has_the_documented_columns_and_the_users_own(http: httpx.Client) -> None:
    answer = exported(http, "csv", {"query": "red", "limit": 2})
    assert answer.content.startswith(b"\xef\xbb\xbfrank,"), "Excel reads UTF-8 by its mark alone"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.count(b"\r\n") == answer.content.count(b"\n") == 3
    pal, card = sorted(table(answer), key=lambda row: row["path"], reverse=True)
    own = ("metadata.is_good", "metadata.tags", "metadata.take", "metadata.title")
    assert tuple(pal) == (*COLUMNS, *own)
    assert (pal["path"], pal["start_s"], pal["end_s"]) == ("films/pal.mp4", "0.0", "16.0")
    assert (pal["start_timecode"], pal["end_timecode"]) == ("00:00:00:00", "00:00:16:00")
    assert (pal["frame_rate"], pal["matched_on"], pal["approximate"]) == ("25", "visual", "false")
    assert (pal["video_id"], pal["metadata.title"]) == (id_of("pal.mp4"), "'=1+1")
    assert (pal["metadata.tags"], pal["metadata.take"]) == ('["a","b"]', "")
    assert (card["metadata.take"], card["metadata.is_good"]) == ("3", "true")
    assert (card["start_s"], card["start_timecode"]) == ("4.0", "01:00:01;29")
    plain = http.post("/search", json={"query": "red", "limit": 2}).json()["results"]
    by_id = {row["id"]: row for row in (pal, card)}
    assert [float(by_id[each["id"]]["score"]) for each in plain] == [each["score"] for each in plain]
    assert {row["rank"] for row in (pal, card)} == {"1", "2"}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("black", "films/" + FORMULA),
        ("yellow", "films/" + BROKEN),
        ("magenta", "films/кино, часть 1.avi"),
    ],
)
def test_whatever_a_file_is_called_its_cell_is_that_name(http: httpx.Client, query: str, shown: str) -> None:
    assert table(exported(http, "csv", {"query": query, "limit": 1}))[0]["path"] == shown


def test_no_cell_is_run_and_each_can_be_taken_back(http: httpx.Client) -> None:
    row = table(exported(http, "csv", {"query": "yellow", "limit": 1}))[0]
    assert (row["metadata.note"], row["metadata.total"]) == ("''quoted'", "'-5")
    texts = table(exported(http, "csv", {"query": "red", "limit": 1, "target": "texts"}))
    assert (texts[0]["text"], texts[0]["start_timecode"]) == ("'@a red thing", "")
    runs = re.compile(r"[=+@\t\r]|-(?!\d)")
    for query in ("red", "black", "yellow"):
        for row in table(exported(http, "csv", {"query": query, "limit": 100}, media_prefix="=")):
            assert not [cell for cell in row.values() if runs.match(cell)]


def test_grouped_results_are_a_row_for_each_moment(http: httpx.Client) -> None:
    search = {"query": "red", "group_by": "video", "merge_gap_s": None, "limit": 2}
    rows = table(exported(http, "csv", search))
    videos = http.post("/search", json=search).json()["results"]
    asked = [
        (str(rank), str(number), moment["id"])
        for rank, video in enumerate(videos, 1)
        for number, moment in enumerate(video["moments"], 1)
    ]
    assert [(row["rank"], row["moment"], row["id"]) for row in rows] == asked
    assert len(asked) > 2
    assert len(edited(exported(http, "edl", search), 25)) == len(asked)


def test_a_sequence_is_a_row_and_an_event_for_each_step_that_is_there(http: httpx.Client) -> None:
    steps = [{"query": "red"}, {"query": "green", "absent": True}, {"query": "blue"}]
    search = {"sequence": steps, "limit": 1}
    (result,) = http.post("/search", json=search).json()["results"]
    rows = table(exported(http, "csv", search, media_prefix="/m"))
    assert [(row["rank"], row["moment"], row["path"]) for row in rows] == [
        ("1", "1", "/m/films/pal.mp4"),
        ("1", "3", "/m/films/pal.mp4"),
    ]
    assert [row["id"] for row in rows] == [result["steps"][0]["id"], result["steps"][2]["id"]]
    answer = exported(http, "edl", search)
    assert len(edited(answer, 25)) == 2
    assert answer.text.startswith("TITLE: red, then not green, then blue\r\n")
    (whole,) = exported(http, "json", search, media_prefix="/m").json()["results"]
    assert whole["path"] == whole["steps"][2]["path"] == "/m/films/pal.mp4"
    assert whole["steps"][1] is None


def test_a_page_can_be_exported_and_its_cursor_goes_on(http: httpx.Client) -> None:
    search = {"query": "red", "merge_gap_s": None, "limit": 3}
    first = exported(http, "json", search).json()
    again = http.post("/search", json=search | {"cursor": first["next_cursor"]}).json()["results"]
    rows = table(exported(http, "csv", search | {"cursor": first["next_cursor"]}))
    assert [row["id"] for row in rows] == [each["id"] for each in again]
    assert not {row["id"] for row in rows} & {each["id"] for each in first["results"]}


def test_what_a_search_leaves_out_its_table_does_too(http: httpx.Client) -> None:
    (row,) = table(exported(http, "csv", {"query": "red", "limit": 1, "include": []}))
    assert tuple(row) == COLUMNS


def test_an_edit_decision_list_is_this_text(http: httpx.Client) -> None:
    answer = exported(http, "edl", {"query": "white", "limit": 1}, media_prefix="/mnt/media")
    result = http.post("/search", json={"query": "white", "limit": 1}).json()["results"][0]
    assert answer.text.split("\r\n") == [
        "TITLE: white",
        "FCM: NON-DROP FRAME",
        "",
        "001  FILM     V     C        10:00:00:00 10:00:08:00 01:00:00:00 01:00:08:00",
        "* FROM CLIP NAME: film.mxf",
        "* SOURCE FILE: /mnt/media/films/film.mxf",
        "* FROM FILE: /mnt/media/films/film.mxf",
        "* COMMENT: 24000/1001 pictures a second, start timecode 10:00:00:00",
        f"* COMMENT: result 1, score {result['score']:g}, {result['id']}",
        "",
    ]


def test_eight_seconds_of_23_976_are_192_pictures(http: httpx.Client) -> None:
    (clip,) = edited(exported(http, "edl", {"query": "white", "limit": 1}), 24000 / 1001)
    assert frames(clip) == (10 * 3600 * 24, 192)


def test_drop_frame_is_counted_as_opentimelineio_does(http: httpx.Client) -> None:
    search = {"query": "green", "limit": 1}
    answer = exported(http, "edl", search)
    assert "FCM: DROP FRAME\r\n" in answer.text
    assert "01:00:00;00 01:00:" in answer.text
    (clip,) = edited(answer, 30000 / 1001)
    start = opentimelineio.opentime.from_timecode("00:59:58;00", 30000 / 1001)
    found = http.post("/search", json=search).json()["results"][0]
    assert found["start"] == 0
    first, many = frames(clip)
    assert first == int(start.value)
    assert many == pytest.approx(found["end"] * 30000 / 1001, abs=1)


def test_a_files_own_timecode_comes_through_from_the_container(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir()
    with av.open(str(folder / "A002C001.mov"), "w") as container:
        container.metadata["timecode"] = "10:00:00:05"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        red = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (255, 0, 0), np.uint8), format="rgb24")
        for number in range(100):
            red.pts = number
            container.mux(stream.encode(red))
        container.mux(stream.encode(None))
    films = Films.of(folder, tmp_path / "data")
    with in_thread(films.library()) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        text = exported(http, "edl", {"query": "red", "limit": 1}).text
    assert "001  A002C001 V     C        10:00:00:05 10:00:04:05 01:00:00:00 01:00:04:00\r\n" in text


def test_events_follow_each_other_and_read_back_as_the_results(http: httpx.Client) -> None:
    search = {"query": "red", "limit": 6, "merge_gap_s": None}
    answer = exported(http, "edl", search, frame_rate="25", media_prefix="/m")
    results = http.post("/search", json=search).json()["results"]
    clips = edited(answer, 25)
    assert [clip.media_reference.target_url for clip in clips] == [
        re.sub(r"\s", " ", f"/m/{each['path']}") for each in results
    ]
    starts = {film.path: film.facts.get("timecode", "00:00:00:00") for film in FILMS}
    at = 25 * 3600
    for clip, each in zip(clips, results, strict=True):
        label = starts[each["path"].removeprefix("films/")]
        begins = opentimelineio.opentime.from_timecode(label.replace(";", ":"), 25)
        first, many = frames(clip)
        assert first == int(begins.value) + round(each["start"] * 25)
        assert many == round(each["end"] * 25) - round(each["start"] * 25)
        at += many
    records = re.findall(r"^\d+ .* (\S+) (\S+)\r$", answer.text, re.MULTILINE)
    assert records[0][0] == "01:00:00:00"
    assert all(ends == begins for (_, ends), (begins, _) in pairwise(records))
    assert int(opentimelineio.opentime.from_timecode(records[-1][1], 25).value) == at


def test_a_list_has_the_rate_of_most_of_its_moments(http: httpx.Client) -> None:
    answer = exported(http, "edl", {"query": [{"text": "red"}, {"text": "black"}, {"text": "yellow"}]})
    assert "FCM: NON-DROP FRAME" in answer.text
    assert answer.text.startswith("TITLE: red, black, yellow\r\n")
    unknown = exported(http, "edl", {"query": "magenta", "limit": 1})
    assert "00:00:00:00 00:00:08:00 01:00:00:00 01:00:08:00" in unknown.text


def test_a_file_name_makes_no_event_of_its_own(http: httpx.Client) -> None:
    answer = exported(http, "edl", {"query": "yellow", "limit": 1})
    (clip,) = edited(answer, 25)
    assert frames(clip) == (0, 200)
    assert len(re.findall(r"^\d", answer.text, re.MULTILINE)) == 1
    assert "no start" not in answer.text
    assert "start timecode none stated, counted from 00:00:00:00" in answer.text


def test_a_list_of_nothing_is_empty_and_whole(http: httpx.Client) -> None:
    search = {"query": "red", "min_score": 9.0}
    assert exported(http, "edl", search).text == "TITLE: red\r\nFCM: NON-DROP FRAME\r\n"
    assert table(exported(http, "csv", search)) == []
    assert exported(http, "json", search).json()["results"] == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("A red truck, at night!", "a-red-truck-at-night.edl"),
        ('"; filename="x.exe', "filename-x-exe.edl"),
        ("../../etc/passwd", "etc-passwd.edl"),
        ("été rouge", "ete-rouge.edl"),
        ("красный", "cinedex.edl"),
        ("red " * 100, "-".join(["red"] * 15) + ".edl"),
    ],
)
def test_a_file_is_called_by_what_was_asked_and_safely(http: httpx.Client, query: str, name: str) -> None:
    answer = exported(http, "edl", {"query": query, "limit": 1})
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "csv"}, "search"),
        ({"search": {"query": "red"}}, "format"),
        ({"search": {"query": "red"}, "format": "xml"}, "format"),
        ({"search": {"query": "red", "target": "texts"}, "format": "edl"}, "format"),
        ({"search": {"query": "red"}, "format": "csv", "frame_rate": "25"}, "frame_rate"),
        ({"search": {"query": "red"}, "format": "edl", "frame_rate": "26"}, "frame_rate"),
        ({"search": {"query": "red"}, "format": "csv", "media_prefix": "a\nb"}, "media_prefix"),
        ({"search": {"query": "red"}, "format": "csv", "media_prefix": "a" * 1001}, "media_prefix"),
        ({"search": {"query": "red", "limit": 0}, "format": "csv"}, "search.limit"),
        ({"search": {"query": "red", "limt": 1}, "format": "csv"}, "search.limt"),
        ({"search": "red", "format": "csv"}, "search"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = http.post("/export", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field


def test_a_key_that_may_read_may_export(keyed_server: Running) -> None:
    body = {"search": {"query": "red"}, "format": "csv"}
    assert keyed_server.http.post("/export", json=body).status_code == 401
    with keyed_server.by("read") as reader:
        assert len(table(reader.post("/export", json=body))) > 1


def test_a_thousand_results_come_in_pieces_and_are_numbered_on(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    writer, since = Writer(shelf.store), shelf.store.log.last().number
    for number in range(1_000):
        id = id_of(str(number))
        task = Task(Place("films", f"{number:04d} with a long name.mp4".encode(), "1"), since)
        facts = Facts(size=1, seconds=9.0, frame_rate="50")
        writer.add(task, Source(id), video_rows(id, [("red", 9)], ["clip"]), facts)
    writer.commit()
    shelf.build()
    with in_thread(ServedLibrary.of_data(tmp_path / "data")) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        search = {"query": "red", "limit": 1000}
        body = {"search": search, "format": "edl"}
        with http.stream("POST", "/export", json=body) as answer:
            pieces = [*answer.iter_raw()]
        text = b"".join(pieces).decode()
        assert len(pieces) > 1
        assert "\r\n0001  0" in text and "\r\n1000  " in text
        assert len(set(re.findall(r"^\d{4}  (\w+)", text, re.MULTILINE))) == 1_000
        assert len(table(exported(http, "csv", search))) == 1_000
        assert len(exported(http, "json", search).json()["results"]) == 1_000


def test_more_than_a_day_of_record_timecodes_is_refused(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    writer, since = Writer(shelf.store), shelf.store.log.last().number
    for name in ("one", "two"):
        rows = video_rows(id_of(name), [("red", 8)], ["clip"])
        (segment,), vectors = rows["clip"]
        long = type(segment)(segment.source, 0.0, 12 * 3600.0)
        task = Task(Place("films", name.encode(), "1"), since)
        facts = Facts(seconds=12 * 3600.0, frame_rate="25")
        writer.add(task, Source(id_of(name)), {"clip": ([long], vectors)}, facts)
    writer.commit()
    shelf.build()
    with in_thread(ServedLibrary.of_data(tmp_path / "data")) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        body = {"search": {"query": "red"}, "format": "edl"}
        answer = http.post("/export", json=body)
        assert answer.status_code == 413
        assert answer.json()["error"] == {
            "type": "too_large",
            "message": "search.limit: the moments are 24.0 h long together; an EDL has room for 23 h.",
            "field": "search.limit",
        }
        assert http.post("/export", json=body | {"search": {"query": "red", "limit": 1}}).status_code == 200
