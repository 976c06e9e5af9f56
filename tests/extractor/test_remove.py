"""`cinedex remove`: by path, by id, by folder, by root, in every store of the collection; and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.collections import Library
from core.store import Store
from extractor.remove import main
from tests.extractor.shelf import Shelf, outcome, vectors


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Three videos, one of them twice."""
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "cats/late.mp4", "cats/vfr.mkv"):
        shelf.put(videos / Path(name).name, name)
    shelf.put(videos / "red.mp4", "cats/red again.mp4")
    shelf.extract()
    return shelf


def remove(shelf: Shelf, *what: str, code: int = 0) -> None:
    assert main([*what, f"--data={shelf.folder / 'data'}"]) == code


def test_a_path_removes_its_content_wherever_it_is(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    remove(shelf, "films/red.mp4")
    assert capsys.readouterr().out == "films/red.mp4: 1 source removed.\n"
    assert shelf.paths() == ["cats/late.mp4", "cats/vfr.mkv"]
    entries = shelf.store.log.last().number
    remove(shelf, "films/red.mp4")
    assert capsys.readouterr().out == "films/red.mp4: removed already.\n"
    assert shelf.store.log.last().number == entries
    remove(shelf, "films/red.mp4", "--undo")
    assert len(shelf.paths()) == 4


@pytest.mark.parametrize("how", ["absolute", "relative", "id"])
def test_a_file_or_an_id_names_it_too(shelf: Shelf, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf.films)
    source = next(source for source, paths in shelf.live().items() if "cats/vfr.mkv" in paths)
    what = {"absolute": str(shelf.films / "cats" / "vfr.mkv"), "relative": "cats/vfr.mkv", "id": source}[how]
    remove(shelf, what)
    assert source not in shelf.live()
    remove(shelf, what, "--undo")
    assert source in shelf.live()


def test_a_folder_removes_what_is_below_it(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    remove(shelf, "films/cats/")
    assert capsys.readouterr().out == "films/cats/: 3 sources removed.\n"
    assert shelf.paths() == []


@pytest.mark.parametrize(
    ("what", "where"), [("films", "."), ("films/", "."), ("./films", "."), (".", "films")]
)
def test_a_roots_folder_removes_all_of_it(
    shelf: Shelf, what: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelf.folder / where)
    remove(shelf, what)
    assert shelf.paths() == []
    remove(shelf, what, "--undo")
    assert len(shelf.paths()) == 4


def test_a_name_that_is_no_utf_8_can_be_removed_as_it_is_shown(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "short.webm", os.fsdecode(b"caf\xe9.webm"))
    shelf.extract()
    remove(shelf, "films/caf\ufffd.webm")
    assert len(shelf.paths()) == 4


def test_a_name_of_two_lines_can_be_removed_as_it_is_shown(
    shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put(videos / "short.webm", "two\nlines.webm")
    shelf.extract()
    remove(shelf, "films/two\\nlines.webm")
    assert capsys.readouterr().out.endswith("nlines.webm: 1 source removed.\n")
    assert len(shelf.paths()) == 4
    remove(shelf, "films/two\\nlines.webm", "--undo")
    shelf.put(videos / "blue.mp4", "two\\nlines.webm")
    shelf.extract()
    remove(shelf, "films/two\\nlines.webm")
    assert "two\nlines.webm" in shelf.paths() and "two\\nlines.webm" not in shelf.paths()


def test_a_name_that_is_no_utf_8_is_removed_and_told(
    shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"caf\xe9.webm")
    shelf.put(videos / "short.webm", name)
    shelf.extract()
    remove(shelf, f"films/{name}")
    assert capsys.readouterr().out == "films/caf?.webm: 1 source removed.\n"
    assert len(shelf.paths()) == 4


def test_a_root_that_moved_for_good_is_ended(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    remove(shelf, "--root=films")
    assert capsys.readouterr().out == "--root films: 4 places gone.\n"
    assert shelf.paths() == []
    before = vectors(shelf.store)
    moved = shelf.folder / "archive"
    shelf.films.rename(moved)
    assert outcome(shelf.extract(f"--videos={moved}")) == {"copies": 4}
    assert vectors(shelf.store) == before and len(shelf.paths()) == 4


def test_it_is_said_in_every_store_of_the_collection(shelf: Shelf, videos: Path) -> None:
    data = shelf.folder / "data"
    shelf.extract(f"--store={data / 'second'}", f"--data={data}")
    assert Library(data).collections() == {"default": ["toy-rgb", "second"]}
    remove(shelf, "films/red.mp4")
    for slug in ("toy-rgb", "second"):
        assert len(list(Store.open(data / slug).log.last().live())) == 2


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (["films/none.mp4"], "'films/none.mp4' is nothing that can be found."),
        (["films/red.mp4", "--undo"], "'films/red.mp4' is nothing that was removed."),
        (["--root=none"], "--root 'none' is nothing that can be found."),
        (["nothing"], "'nothing' is nothing that can be found."),
        (["/"], "'/' is nothing that can be found."),
        ([], "name what to remove: a path, an id, or --root NAME."),
        (["films/red.mp4", "--root=films"], "name what to remove: a path, an id, or --root NAME."),
        (["--root=films", "--undo"], "--root with --undo cannot be; "),
        (["films/red.mp4", "--collection=none"], "has no collection 'none'."),
    ],
)
def test_what_matches_nothing_is_told(
    shelf: Shelf, what: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    remove(shelf, *what, code=2)
    told = capsys.readouterr().err
    assert says in told and told.startswith("cinedex remove: ") and told.count("\n") == 1


def test_what_is_removed_while_two_extract_stays_removed(shelf: Shelf, videos: Path) -> None:
    for name in ("green.mp4", "blue.mp4", "with-sound.mkv"):
        shelf.put(videos / name)
    (shelf.films / "red.mp4").rename(shelf.films / "rot.mp4")
    code = f"import sys; from extractor.cli import main; sys.exit(main({shelf.flags()!r}))"
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    remove(shelf, "films/red.mp4")
    remove(shelf, "films/cats/vfr.mkv")
    assert [process.wait() for process in both] == [0, 0]
    shelf.extract()
    assert shelf.paths() == ["blue.mp4", "cats/late.mp4", "green.mp4", "with-sound.mkv"]
    assert len({source for source, _ in vectors(shelf.store)}) == 6
