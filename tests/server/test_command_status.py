"""`cinedex status` of libraries that the real writer and the real index have made."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.commands import main
from core.log import Task
from core.running import FOLDER, Facts, running, runs
from core.types import Place
from core.writer import Writer
from index.build import publish
from index.gc import DAY_S, gc
from server.commands.state import encoder_missing
from tests.server.worlds import TOY, Shelf, until


def told(data: Path, capsys: pytest.CaptureFixture[str], *flags: str, code: int = 0) -> dict[str, Any]:
    assert main(["status", "--data", str(data), "--json", *flags]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def shown(data: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    main(["status", "--data", str(data), *flags])
    return capsys.readouterr().out


def store_of(found: dict[str, Any]) -> dict[str, Any]:
    store: dict[str, Any] = found["collections"][0]["stores"][0]
    return store


def fail(shelf: Shelf, *names: str, why: str = "it is cut short") -> None:
    writer = Writer(shelf.store)
    for name in names:
        writer.failed(Task(Place("films", name.encode(), "1"), shelf.store.log.last().number), why)
    writer.commit()


def test_a_folder_that_is_not_there_holds_nothing_and_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "`cinedex open DIR` takes a folder of videos in." in shown(tmp_path / "data", capsys)
    assert not (tmp_path / "data").exists()


def test_what_is_searched_is_told_with_its_rows_and_sampling(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    found = store_of(told(shelf.library.data, capsys))
    assert (found["store"], found["encoder"], found["default"]) == ("toy-rgb", "toy:rgb", True)
    assert found["sources"] == 6 and (found["new"], found["removed"], found["failed"]) == (0, 0, 0)
    assert found["snapshot"]["rows"] == {"frame": 60, "clip": 12, "text": 3}
    assert (found["snapshot"]["number"], found["snapshot"]["recall"]) == (1, 1.0)
    assert time.time() - 600 < found["snapshot"]["published"] <= time.time()
    text = shown(shelf.library.data, capsys)
    assert "6 videos and texts, 60 frame, 12 clip, 3 text rows; snapshot 1 of " in text
    assert "1 pictures a second, clips of 8 s every 4 s" in text
    assert "stale" not in text and text.endswith("Nothing runs now.\n")


def test_what_is_new_or_removed_since_the_snapshot_is_stale_until_a_build(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.add({"more": [("red", 8)], "other": [("blue", 8)]})
    shelf.copied("green", "a/copy.mp4")
    shelf.remove("green")
    found = store_of(told(shelf.library.data, capsys))
    assert (found["new"], found["removed"], found["disk"]["compact_frees"]) == (2, 1, None)
    assert "2 new, 1 removed; `cinedex index build` makes it new" in shown(shelf.library.data, capsys)
    shelf.build()
    found = store_of(told(shelf.library.data, capsys))
    assert (found["new"], found["removed"]) == (0, 0)
    assert found["disk"]["compact_frees"] == (20 + 4) * 12 * 2, "the rows of green"
    shelf.remove("green", undo=True)
    assert store_of(told(shelf.library.data, capsys))["new"] == 1


def test_what_is_no_source_is_stale_too_and_after_a_way_back_it_says_the_way_on(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(shelf, "a.mp4")
    assert store_of(told(shelf.library.data, capsys))["commits"] == 1
    text = shown(shelf.library.data, capsys)
    assert "1 commit of lines, columns, places or failures; `cinedex index build` makes it new" in text
    shelf.remove("green")
    shelf.build()
    assert "stale" not in shown(shelf.library.data, capsys)
    publish(shelf.store, 1)
    assert store_of(told(shelf.library.data, capsys))["whole"] == 2
    assert "1 removed; `cinedex index publish 2` shows it" in shown(shelf.library.data, capsys)


def test_failures_are_counted_by_their_reasons_and_listed(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(shelf, "b.mp4", "a.mp4")
    fail(shelf, "c.mp4", why="it is no video")
    data = shelf.library.data
    found = store_of(told(data, capsys))
    assert (found["failed"], found["reasons"]) == (3, {"it is cut short": 2, "it is no video": 1})
    assert "3 places: 2 × it is cut short; 1 × it is no video" in shown(data, capsys)
    listed = told(data, capsys, "--failures")["failures"]
    assert [(each["path"], each["error"]) for each in listed] == [
        ("films/a.mp4", "it is cut short"),
        ("films/b.mp4", "it is cut short"),
        ("films/c.mp4", "it is no video"),
    ]
    assert shown(data, capsys, "--failures").splitlines()[0] == "toy-rgb  films/a.mp4: it is cut short"


def test_a_reason_is_one_for_all_files_of_which_it_is_true(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(shelf, "a.mp4", why="a.mp4 has no pictures in it (1 damaged packet).")
    fail(shelf, "in/b.mp4", why="b.mp4 has no pictures in it (12 damaged packets).")
    fail(shelf, "\xe9.mp4", why="\xe9.mp4 is encrypted.")
    fail(shelf, "d.mp4", why="its decoder ended with exit code 1")
    text = shown(shelf.library.data, capsys)
    assert "4 places: 2 × it has no pictures in it; 1 × its decoder ended with exit code 1" in text


def test_bytes_are_told_by_what_they_are_and_gc_frees_what_is_said(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        shelf.add({f"more-{number}": [("red", 8)]})
        shelf.build()
    for path in [shelf.store.root, *shelf.store.root.rglob("*")]:
        os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    before = store_of(told(shelf.library.data, capsys))["disk"]
    kinds = ("vectors", "thumbnails", "index", "rest")
    sizes = [path.stat().st_size for path in shelf.store.root.rglob("*") if path.is_file()]
    assert sum(before[kind] for kind in kinds) == sum(sizes)
    assert before["vectors"] and before["index"] and before["gc_frees"]
    gc(shelf.store)
    after = store_of(told(shelf.library.data, capsys))["disk"]
    freed = sum(before[kind] for kind in kinds) - sum(after[kind] for kind in kinds)
    assert freed == before["gc_frees"] and after["gc_frees"] == 0


def test_a_damaged_store_is_said_and_the_others_are_told(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    Shelf.make(shelf.library.data, slug="other").store.root.joinpath("store.json").write_text("{")
    stores = told(shelf.library.data, capsys, code=1)["collections"][0]["stores"]
    assert stores[0]["sources"] == 6 and not stores[0]["error"]
    assert "store.json is damaged" in stores[1]["error"]


@pytest.mark.parametrize("what", ["parts/*.faiss", "parts/*.rows.npy", "snapshots/*/sources.arrow"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_answers_need_is_missed_and_so_is_some_of_it(
    shelf: Shelf, what: str, is_there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(shelf.store.root.glob(what))
    os.truncate(path, path.stat().st_size - 1) if is_there else path.unlink()
    [store] = told(shelf.library.data, capsys, code=1)["collections"][0]["stores"]
    assert str(path) in store["error"] and ("is damaged" if is_there else "is missing") in store["error"]


@pytest.mark.parametrize("what", ["*.truth.npy", "asked.arrow"])
def test_what_only_a_build_would_read_is_not_missed(
    shelf: Shelf, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    next(shelf.store.root.glob(f"snapshots/*/{what}")).unlink()
    [store] = told(shelf.library.data, capsys)["collections"][0]["stores"]
    assert not store["error"]


def test_roots_that_are_gone_are_told(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    shelf.library.claim_root("films", films)
    assert told(shelf.library.data, capsys)["roots"][0]["is_there"] is True
    films.rmdir()
    assert told(shelf.library.data, capsys)["roots"][0]["is_there"] is False
    assert f"films  {films}  IS GONE" in shown(shelf.library.data, capsys)


def test_what_runs_is_told_while_it_does(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    data = shelf.library.data
    facts: Facts = {"videos": "films", "done": 3, "left": 4, "is_all": True, "failed": 1}
    facts = {**facts, "seconds_left": 200.0}
    with running(data, "extract", facts):
        until(lambda: bool(runs(data)))
        (found,) = told(data, capsys)["running"]
        assert (found["verb"], found["pid"], found["facts"]["done"]) == ("extract", os.getpid(), 3)
        said = "films: 3 taken in, 4 to go, 1 cannot be read, about 3 min left"
        assert said in shown(data, capsys)
    assert told(data, capsys)["running"] == [] and not (data / FOLDER).exists()


def test_an_encoder_that_is_not_here_is_told(tmp_path: Path) -> None:
    assert encoder_missing(TOY.spec) == ""
    assert "no encoder family 'gone'" in encoder_missing(replace(TOY.spec, name="gone:1"))
    clip = replace(TOY.spec, name="open_clip:ViT-B-32/x", weights="f" * 32)
    assert encoder_missing(clip).startswith(f"Its weights {'f' * 32} are not in ")
    assert encoder_missing(replace(clip, weights="random:1")) == ""
    assert encoder_missing(replace(clip, name="videococa:local-dir:/models/coca")) == ""


def test_another_collection_is_refused_by_its_name(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--data", str(shelf.library.data), "--collection", "films"]) == 2
    assert capsys.readouterr().err.endswith(" has no collection 'films'; there are: default.\n")
