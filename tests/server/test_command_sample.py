"""`cinedex sample`: from an empty folder to answers, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import files
from core.collections import Library
from core.commands import main
from core.store import Store
from extractor.encoders import shipped
from index.snapshot import Snapshot
from server.commands import sample
from server.commands.sample import COLLECTION, COLOURS, FOLDER, STARTER, STORE
from tests.conftest import shapes, write_film
from tests.server.worlds import until


def verb(data: Path) -> subprocess.Popen[bytes]:
    code = "import sys; from core.commands import main; sys.exit(main())"
    environment = os.environ | {"CINEDEX_WEIGHTS": str(data.parent / "weights")}
    return subprocess.Popen([sys.executable, "-c", code, "sample", "--data", str(data)], env=environment)


def test_two_at_once_fill_one_collection_that_answers_and_a_third_does_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    both = [verb(data) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    library = Library(data)
    assert library.collections() == {COLLECTION: [STORE]}
    assert len(list((data / FOLDER).glob("*.mp4"))) == 8
    capfd.readouterr()
    snapshots = list((library.store_path(STORE) / "snapshots").iterdir())
    assert main(["sample", "--data", str(data)]) == 0
    assert "there already" in capfd.readouterr().err
    assert list((library.store_path(STORE) / "snapshots").iterdir()) == snapshots
    assert encoder_of(data) == (STARTER if STARTER in shipped() else COLOURS)
    assert main(["search", "red", "--collection", COLLECTION, "--data", str(data)]) == 0
    assert f"{FOLDER}/sample-" in capfd.readouterr().out
    assert not list((tmp_path / "weights").rglob("*.safetensors")), "it brings what it needs"

    (tmp_path / "films").mkdir()
    write_film(tmp_path / "films" / "green.mp4", shapes("green", seconds=0.5))
    theirs = ("--videos", str(tmp_path / "films"), "--encoder", "toy:rgb", "--workers", "0")
    assert main(["extract", *theirs, "--data", str(data)]) == 0
    assert main(["index", "build", "--data", str(data)]) == 0
    assert library.collections() == {COLLECTION: [STORE], "default": ["toy-rgb"]}
    held = [Snapshot.open(Store.open(library.store_path(slug))) for slug in (STORE, "toy-rgb")]
    shown, own = (set(each.sources.ids()) for each in held)
    assert (len(shown), len(own)) == (8, 1) and not shown & own


def encoder_of(data: Path) -> str:
    return Store.open(Library(data).store_path(STORE)).spec.name


def test_without_the_starter_it_shows_colours_and_what_was_begun_by_them_is_ended_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    monkeypatch.setattr(sample, "shipped", list)
    assert main(["sample", "--data", str(data)]) == 0
    assert encoder_of(data) == COLOURS
    films = {path.name: path.stat().st_mtime_ns for path in (data / FOLDER).iterdir()}

    monkeypatch.setattr(sample, "shipped", lambda: [STARTER])
    current = Library(data).store_path(STORE) / "CURRENT"
    current.unlink()
    capfd.readouterr()
    assert main(["sample", "--data", str(data)]) == 0
    assert current.exists() and encoder_of(data) == COLOURS
    assert {path.name: path.stat().st_mtime_ns for path in (data / FOLDER).iterdir()} == films
    assert main(["search", "red", "--collection", COLLECTION, "--data", str(data)]) == 0
    assert f"{FOLDER}/sample-" in capfd.readouterr().out


def test_stopped_half_way_it_goes_on_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with verb(data) as process:
        until(lambda: (data / FOLDER / "sample-01.mp4").exists(), 300)
        process.terminate()
        assert process.wait() == 130
    assert verb(data).wait() == 0
    assert Library(data).collections() == {COLLECTION: [STORE]}


def waits(pid: int) -> bool:
    """For a lock that another process holds."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in locks)


def test_who_waits_for_another_one_is_ended_by_sigterm(tmp_path: Path) -> None:
    with files.locked(tmp_path / "sample.lock"):
        with verb(tmp_path) as process:
            until(lambda: waits(process.pid), 300)
            process.terminate()
            assert process.wait(300) == 130
        assert not (tmp_path / FOLDER).exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["sample", "--data", str(tmp_path / "file" / "data")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cinedex sample: ") and error.endswith("cannot be written: Not a directory.\n")
    assert error.count("\n") == 1
