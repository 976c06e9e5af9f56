"""Lists of videos: four kinds of file, which root a line is of, and columns that change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import log as core_log
from core.collections import Library
from core.errors import UsageError
from core.store import Store
from core.types import Place
from extractor.cli import main
from extractor.find import Settling
from extractor.lists import ListTarget
from extractor.videos import Known, Looked, look_at, videos_of
from extractor.work import Spool
from tests.extractor.shelf import LONG_AGO_NS, Shelf, age, outcome, vectors
from tests.extractor.test_find import Waiting, make

KNOWN = Known(Spool(Path("spool"), 1 << 30))


def look(asked: Path, **known: Any) -> Looked:
    """The list gone through once; its places are in `places_of`."""
    target = videos_of(str(asked), Known(KNOWN.spool, **known))
    assert isinstance(target, ListTarget)
    stop = Waiting(lambda seconds: None)
    return look_at(target, stop, Settling(stop))


def found(asked: Path, **known: Any) -> dict[str, str | None]:
    """What a list's places are called, and their columns."""
    return {place.shown: place.columns for place in look(asked, **known)}


def put(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def put_rows(path: Path, *rows: Mapping[str, object]) -> Path:
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


def held(shelf: Shelf) -> dict[str, dict[str, Any]]:
    """The columns of every live source, by its first path."""
    return {os.fsdecode(live.places[0].path): dict(live.columns) for live in shelf.store.log.last().live()}


# --- reading ----------------------------------------------------------------------------------------


def test_each_line_of_a_txt_is_a_path_as_it_stands(tmp_path: Path) -> None:
    names = [
        b"a.mp4",
        b" .mp4",
        b'it\'s "so".mp4',
        "käse 🧀.mp4".encode(),
        b"caf\xe9.mp4",
        b"-r.mp4",
        b"#1.mp4",
    ]
    make(tmp_path / "films", *names)
    lines = [b"films/" + name for name in names] + [
        b"",
        b"  ",
        b"films/sub/../a.mp4",
        os.fsencode(tmp_path) + b"/films/a.mp4",
    ]
    listing = look(put(tmp_path / "list.txt", b"\xef\xbb\xbf" + b"\r\n".join(lines)))
    places = list(listing)
    assert [place.path for place in places] == names
    assert {place.root for place in places} == {"films"} and not any(place.columns for place in places)
    assert list(listing.failed) == []


def test_csv_jsonl_and_parquet_keep_all_other_columns(tmp_path: Path) -> None:
    make(tmp_path, "f/a.mp4", "f/b\nc.mp4", "f/d.mp4")
    csv = put(tmp_path / "l.csv", 'video,year,note\nf/a.mp4,1999,"a, b"\n"f/b\nc.mp4",,\n')
    assert found(csv) == {"f/a.mp4": '{"note":"a, b","year":"1999"}', "f/b\nc.mp4": None}
    jsonl = put_rows(
        tmp_path / "l.jsonl", {"url": "f/a.mp4", "year": 1999, "tags": ["x"], "no": None}, {"file": "f/d.mp4"}
    )
    put(jsonl, jsonl.read_text() + '"f/b\\nc.mp4"\n')
    assert found(jsonl) == {"f/a.mp4": '{"tags":["x"],"year":1999}', "f/d.mp4": None, "f/b\nc.mp4": None}
    assert found(put(tmp_path / "one.csv", "whatever\nf/a.mp4\n")) == {"f/a.mp4": None}
    row = {
        "videoLoc": "f/a.mp4",
        "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
        "long": timedelta(seconds=90),
        "price": Decimal("1.50"),
        "n": 7,
        "x": 0.5,
        "nothing": None,
        "deep": {"days": [date(2024, 1, 1)]},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "l.parquet")
    (columns,) = found(tmp_path / "l.parquet").values()
    assert json.loads(columns or "") == {
        "day": "2024-02-29",
        "at": "2024-02-29T12:30:00+00:00",
        "long": 90.0,
        "price": 1.5,
        "n": 7,
        "x": 0.5,
        "deep": {"days": ["2024-01-01"]},
    }


def test_nanoseconds_of_a_parquet_are_cut(tmp_path: Path) -> None:
    make(tmp_path, "f/a.mp4")
    times = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    pq.write_table(pa.table({"path": ["f/a.mp4"], "at": times}), tmp_path / "l.parquet")
    assert found(tmp_path / "l.parquet") == {"f/a.mp4": '{"at":"2023-11-14T22:13:20.123456"}'}


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (
            "l.jsonl",
            '{"name": "a.mp4"}\n',
            "line 1: it has no field 'path', 'video', 'file', 'url' or 'videoLoc'.",
        ),
        ("l.jsonl", '\n{"path": 7}\n', r"line 2: its path must be a path or an address \(got 7\)."),
        ("l.jsonl", '{"path": "a\\u0000"}\n', "line 1: its path must be a path or an address"),
        ("l.jsonl", '{"path": "a\\ud800.mp4"}\n', "line 1: its path holds half a surrogate pair"),
        (
            "l.jsonl",
            '{"path": "a.mp4", "x": Infinity}\n',
            "line 1: it is not JSON: Infinity is no finite number.",
        ),
        ("l.csv", "path,year\n,1999\n", r"line 2: its path must be a path or an address \(got ''\)."),
        ("l.csv", "path\na.mp4,1\n", "line 2: it has more than the 1 fields of line 1."),
        ("l.jsonl", b"\xff\n", "is not UTF-8"),
        ("l.parquet", b"PAR1 no more", "l.parquet is not Parquet: "),
        (
            "l.txt",
            "s3://KEY:SECRET@bucket/a.mp4\n",
            "line 1: s3://bucket/a.mp4 was given with a key in it; the",
        ),
        (
            "l.jsonl",
            '["http://a:SECRET@b/c?d=SECRET"]\n',
            r"line 1: it must be an object \(got '\[\"http://…b/c\?…",
        ),
        ("l.txt", "a.mp4\nhttps:/a:SECRET@h/x\n", "line 2: An address begins with https://; a file"),
        (
            "l.txt",
            "nosuch://host/a.mp4\n",
            "nosuch://host/a.mp4 has the protocol nosuch, which is not known.",
        ),
        (
            "l.txt",
            "zip://a.mp4::s3://b/c.zip\n",
            "line 1: zip://a.mp4::s3://b/c.zip is a chain of file systems",
        ),
    ],
)
def test_a_mistake_in_a_list_is_one_sentence_that_names_its_line(
    tmp_path: Path, name: str, data: str | bytes, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as told:
        found(put(tmp_path / name, data))
    assert "SECRET" not in str(told.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), r"row 1: its x is no finite number \(got nan\)."),
        (b"\x00\x01", "row 1: its x is 2 bytes"),
    ],
)
def test_what_no_column_can_hold_is_told_with_its_row(tmp_path: Path, value: object, says: str) -> None:
    pq.write_table(pa.Table.from_pylist([{"path": "a.mp4", "x": value}]), tmp_path / "l.parquet")
    with pytest.raises(UsageError, match=says):
        found(tmp_path / "l.parquet")


def test_an_address_in_another_column_loses_its_secrets_however_deep_it_lies(tmp_path: Path) -> None:
    make(tmp_path, "f/a.mp4")
    secret = "https://anna:SECRET@h/a?sig=SECRET"
    held: dict[str, object] = {"url": secret, "deep": [{"from": secret}], "note": "is it so?"}
    (columns,) = found(put_rows(tmp_path / "l.jsonl", {"path": "f/a.mp4", **held})).values()
    shorn = {"url": "https://h/a", "deep": [{"from": "https://h/a"}], "note": "is it so?"}
    assert json.loads(columns or "") == shorn


# --- which root -------------------------------------------------------------------------------------


def test_a_lists_root_is_its_files_deepest_common_folder_or_a_known_one_or_as_asked(tmp_path: Path) -> None:
    make(tmp_path, "archive/films/cats/1.mp4", "archive/films/dogs/2.mp4", "archive/more/3.mp4")
    films = put(tmp_path / "l.txt", "archive/films/cats/1.mp4\narchive/films/dogs/2.mp4\n")
    assert list(found(films)) == ["films/cats/1.mp4", "films/dogs/2.mp4"]
    assert list(found(films, root="mine")) == ["mine/cats/1.mp4", "mine/dogs/2.mp4"]
    known = {"all": tmp_path / "archive", "dogs": tmp_path / "archive" / "films" / "dogs"}
    assert list(found(films, folders=known)) == ["all/films/cats/1.mp4", "dogs/2.mp4"]
    # What is known stays called so, whatever else the list names.
    more = put(tmp_path / "m.txt", "archive/films/cats/1.mp4\narchive/more/3.mp4\n")
    assert list(found(more, folders={"films": tmp_path / "archive" / "films"})) == [
        "films/cats/1.mp4",
        "more/3.mp4",
    ]


def test_one_name_for_two_places_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "f/1.mp4")
    with pytest.raises(UsageError, match="--root mine cannot name 2 places: memory://, "):
        found(put(tmp_path / "l.txt", "f/1.mp4\nmemory://x/2.mp4\n"), root="mine")


# --- what it lists ----------------------------------------------------------------------------------


def test_what_is_missing_or_no_file_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    make(tmp_path, "f/a.mp4", "f/sub/b.mp4")
    listing = look(put(tmp_path / "l.txt", "f/gone.mp4\nf/sub\nf/a.mp4\n"))
    assert [place.shown for place in listing] == ["f/a.mp4"]
    assert [(place.shown, error) for place, error in listing.failed] == [
        ("f/gone.mp4", "it cannot be read: No such file or directory"),
        ("f/sub", "it cannot be read: it is no file"),
    ]
    assert not listing.whole(b"a.mp4")


def test_the_same_line_twice_is_one_and_other_columns_are_told(tmp_path: Path) -> None:
    make(tmp_path, "f/a.mp4", "f/b.mp4")
    rows: list[dict[str, object]] = [
        {"path": "f/a.mp4", "n": 1},
        {"path": "f/b.mp4"},
        {"path": "f/./a.mp4", "n": 1},
    ]
    assert found(put_rows(tmp_path / "l.jsonl", *rows)) == {"f/a.mp4": '{"n":1}', "f/b.mp4": None}
    rows[2]["n"] = 2
    with pytest.raises(
        UsageError, match=r"l\.jsonl names one video in line 1 and in line 3, with other columns"
    ):
        found(put_rows(tmp_path / "l.jsonl", *rows))


def test_a_fresh_file_of_a_list_is_waited_for(tmp_path: Path) -> None:
    make(tmp_path, "f/old.mp4", "f/new.mp4")
    os.utime(tmp_path / "f" / "new.mp4")
    listing = look(put(tmp_path / "l.txt", "f/new.mp4\nf/old.mp4\n"))
    assert [place.shown for place in listing] == ["f/old.mp4", "f/new.mp4"]


def test_a_list_that_changes_after_it_was_checked_is_not_gone_through(tmp_path: Path) -> None:
    make(tmp_path, "f/a.mp4")
    listing = look(put(tmp_path / "l.txt", "f/a.mp4\n"))
    age(put(tmp_path / "l.txt", "f/a.mp4\n\n"))
    assert list(listing) == []
    assert [error for _, error in listing.failed] == ["it changed while it was read; run it again"]


def test_a_long_list_is_read_in_little_memory(tmp_path: Path) -> None:
    names = [f"{n}.mp4" for n in range(5_000)]
    make(tmp_path / "f", *names)
    path = put_rows(tmp_path / "l.jsonl", *({"path": f"f/{name}", "note": "x" * 4_000} for name in names))
    tracemalloc.start()
    try:
        count = sum(1 for _ in look(path))
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 4
    finally:
        tracemalloc.stop()
    assert count == len(names)


# --- extract ----------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "short.webm", "vfr.mkv"):
        shelf.put(videos / name)
    return shelf


def rows_of(shelf: Shelf, **columns: object) -> Path:
    """A list of the shelf's videos, each with these columns and its name."""
    names = ("red.mp4", "short.webm", "vfr.mkv")
    return put_rows(
        shelf.folder / "l.jsonl", *({"path": f"films/{name}", "name": name, **columns} for name in names)
    )


def test_a_list_is_embedded_with_its_columns_and_the_same_list_again_is_nothing(shelf: Shelf) -> None:
    path = rows_of(shelf, year=1999)
    assert outcome(shelf.extract(f"--videos={path}")) == {"done": 3}
    number = shelf.store.log.last().number
    assert held(shelf)["red.mp4"] == {"name": "red.mp4", "year": 1999}
    assert outcome(shelf.extract(f"--videos={path}")) == {"already": 3}
    assert shelf.store.log.last().number == number


def test_new_columns_of_a_list_are_words_alone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_log, "CHECKPOINT_LEAST_WORDS", 2)  # the first words lie in a checkpoint
    shelf.extract(f"--videos={rows_of(shelf, year=1999)}")
    before = vectors(shelf.store)
    path = rows_of(shelf, year=2001, tags=["new"])
    code = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
from extractor.cli import main
assert main({shelf.flags(f"--videos={path}")!r}) == 0
assert not any(str(path).endswith((".mp4", ".webm", ".mkv")) for path in opened)
assert not [name for name in ("torch", "av") if name in sys.modules]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    report = shelf.report()
    assert outcome(report) == {"copies": 3} and report["rows"]["frame"] == 0
    assert held(shelf)["vfr.mkv"] == {"name": "vfr.mkv", "year": 2001, "tags": ["new"]}
    assert vectors(shelf.store) == before
    assert outcome(shelf.extract(f"--videos={path}")) == {"already": 3}
    # A list without columns, and the folder itself, say nothing about them.
    assert outcome(shelf.extract(f"--videos={put(shelf.folder / 'l.txt', 'films/red.mp4')}")) == {
        "already": 1
    }
    assert outcome(shelf.extract()) == {"already": 3}
    assert held(shelf)["vfr.mkv"]["year"] == 2001


def test_new_columns_are_said_in_every_store_of_the_collection(shelf: Shelf) -> None:
    shelf.extract(f"--videos={rows_of(shelf, year=1998)}")
    data = shelf.folder / "data"
    shutil.copytree(data / "toy-rgb", data / "another")
    Library(data).add_store("default", "another")
    shelf.extract(f"--videos={rows_of(shelf, year=1999)}")
    shelf.extract(f"--videos={rows_of(shelf, year=1999)}")
    for name in ("toy-rgb", "another"):
        known = Store.open(data / name).log.last()
        assert {live.columns["year"] for live in known.live()} == {1999}
        assert known.number == 3  # and once


def test_a_dry_run_over_new_columns_writes_nothing(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    shelf.extract(f"--videos={rows_of(shelf, year=1999)}")
    number = shelf.store.log.last().number
    assert main(shelf.flags(f"--videos={rows_of(shelf, year=2001)}", "--dry-run", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["copies"] == 3
    assert shelf.store.log.last().number == number


def test_what_failed_of_a_list_is_listed(
    shelf: Shelf, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("truncated.mp4", "encrypted.mp4"):
        shelf.put(broken / name)
    assert outcome(shelf.extract(code=3)) == {"done": 3, "failed": 2}
    path = put(shelf.folder / "l.txt", "films/truncated.mp4\nfilms/red.mp4\n")
    flags = (f"--data={shelf.folder / 'data'}", "--failed", "--json", f"--videos={path}")
    capsys.readouterr()
    assert main([*flags]) == 0
    assert [each["file"] for each in json.loads(capsys.readouterr().out)["failed"]] == ["truncated.mp4"]


def test_two_lists_that_overlap_embed_each_video_once(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "late.mp4", "sub/late.mp4")
    one = put_rows(
        shelf.folder / "one.jsonl", {"path": "films/red.mp4", "a": 1}, {"path": "films/vfr.mkv", "a": 1}
    )
    two = put_rows(
        shelf.folder / "two.jsonl", {"path": "films/vfr.mkv", "b": 2}, {"path": "films/sub/late.mp4"}
    )
    assert outcome(shelf.extract(f"--videos={one}")) == {"done": 2}
    assert outcome(shelf.extract(f"--videos={two}")) == {"done": 1, "copies": 1}
    assert held(shelf) == {"red.mp4": {"a": 1}, "vfr.mkv": {"b": 2}, "sub/late.mp4": {}}
    assert outcome(shelf.extract()) == {"already": 3, "done": 1}


def test_missing_files_of_a_list_fail_and_the_others_are_done(shelf: Shelf, broken: Path) -> None:
    shelf.put(broken / "text.mp4")
    path = put(shelf.folder / "l.txt", "films/gone.mp4\nfilms/red.mp4\nfilms/text.mp4\n")
    report = shelf.extract(f"--videos={path}", code=3)
    assert outcome(report) == {"done": 1, "failed": 2}
    assert {failed["path"]: failed["error"] for failed in report["failed"]} == {
        "films/gone.mp4": "it cannot be read: No such file or directory",
        "films/text.mp4": "text.mp4 is text, not a video.",
    }
    assert shelf.store.log.last().place(Place("films", b"gone.mp4")) is None


def test_a_moved_archive_keeps_its_columns(shelf: Shelf) -> None:
    shelf.extract(f"--videos={rows_of(shelf, year=1999)}")
    (shelf.films / "red.mp4").rename(shelf.films / "rot.mp4")
    assert outcome(shelf.extract()) == {"already": 2, "copies": 1}
    assert held(shelf)["red.mp4"] == {"name": "red.mp4", "year": 1999}
    known = shelf.store.log.last().place(Place("films", b"rot.mp4", f"0-{LONG_AGO_NS}"))
    assert known and json.loads(known.columns or "") == {"name": "red.mp4", "year": 1999}


@pytest.mark.parametrize("kind", ["list", "glob", "file"])
def test_only_a_folder_is_pruned(shelf: Shelf, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {
        "list": put(shelf.folder / "l.txt", "films/red.mp4\n"),
        "glob": shelf.films / "*",
        "file": shelf.films / "red.mp4",
    }
    assert main(shelf.flags(f"--videos={asked[kind]}", "--prune")) == 2
    assert f"--prune needs a whole folder; --videos {asked[kind]} is a {kind}." in capsys.readouterr().err


def test_an_empty_list_is_told(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(shelf.folder / "l.txt", "\n")
    shelf.extract(f"--videos={path}", code=2)
    assert f"--videos {path} holds no videos." in capsys.readouterr().err
