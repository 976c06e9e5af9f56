"""`--failed` and `--retry-failed`: what failed, why and when, and another try."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core import log as core_log
from core.checkpoint import write_checkpoint
from core.collections import Library
from extractor.cli import main
from tests.extractor.shelf import Shelf, outcome


@pytest.fixture
def shelf(tmp_path: Path, videos: Path, broken: Path) -> Shelf:
    """A good video and three bad ones in two folders, extracted."""
    shelf = Shelf(tmp_path)
    shelf.put(videos / "late.mp4")
    shelf.put(broken / "truncated.mp4")
    shelf.put(broken / "encrypted.mp4", "old/a\nb.mp4")
    shelf.put(broken / "truncated.mp4", "old/c.mp4", ns=1)
    assert outcome(shelf.extract(code=3)) == {"done": 1, "failed": 3}
    return shelf


def ledger(shelf: Shelf, capsys: pytest.CaptureFixture[str], *flags: str) -> list[dict[str, Any]]:
    """What `--failed --json` shows."""
    assert main([f"--data={shelf.folder / 'data'}", "--failed", "--json", "--quiet", *flags]) == 0
    told = capsys.readouterr()
    held: dict[str, Any] = json.loads(told.out)
    assert told.err == "" and held["store"] == str(shelf.store.root)
    failed: list[dict[str, Any]] = held["failed"]
    return failed


def test_each_is_listed_with_its_reason_and_when_that_was_said(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shelf.store.log.last().number
    first, second, third = ledger(shelf, capsys)
    assert [first["path"], second["path"], third["path"]] == [
        *("films/old/a\nb.mp4", "films/old/c.mp4", "films/truncated.mp4")
    ]
    assert (first["root"], first["file"], first["entry"]) == ("films", "old/a\nb.mp4", 2)
    assert "is encrypted" in first["error"] and "cannot be opened" in third["error"]
    assert datetime.now(UTC) - datetime.fromisoformat(first["said"]) < timedelta(minutes=5)
    assert shelf.store.log.last().number == before


def test_for_people_it_is_a_line_each_and_says_so_when_there_is_none(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    data = f"--data={shelf.folder / 'data'}"
    assert main([data, "--failed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0][25:].startswith(r"  films/old/a\nb.mp4: ") and lines[0].endswith("is encrypted.")
    assert main([data, "--failed", "--root=other"]) == 2
    assert capsys.readouterr().err == "extract: --root 'other' is not known here; films are.\n"
    Library(shelf.folder / "data").claim_root("other", shelf.folder)
    assert main([data, "--failed", "--root=other"]) == 0
    assert capsys.readouterr().out == f"{shelf.store.root}: nothing has failed.\n"


def test_it_can_be_narrowed_to_a_folder_a_file_a_glob_or_a_root(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    def files(*flags: str) -> list[str]:
        return [each["file"] for each in ledger(shelf, capsys, *flags)]

    films = shelf.films
    assert files(f"--videos={films / 'old'}") == ["old/a\nb.mp4", "old/c.mp4"]
    assert files(f"--videos={films / 'old' / 'c.mp4'}") == ["old/c.mp4"]
    assert files(f"--videos={films}/t*.mp4") == ["truncated.mp4"]
    assert files(f"--videos={films / 'late.mp4'}") == []
    assert len(files("--root=films")) == 3
    (films / "old" / "c.mp4").unlink()  # of a folder also what is there no more
    assert files(f"--videos={films / 'old'}") == ["old/a\nb.mp4", "old/c.mp4"]


def test_a_retry_takes_out_of_it_what_works_now_and_leaves_the_rest(
    shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(shelf.extract()) == {"already": 1, "failed_before": 3}
    assert outcome(shelf.extract("--retry-failed", code=3)) == {"already": 1, "failed": 3}
    assert r"path=films/old/a\nb.mp4 error=a\nb.mp4 is encrypted." in capsys.readouterr().err
    assert [each["entry"] for each in ledger(shelf, capsys)] == [3, 3, 3]
    shelf.put(videos / "red.mp4", "truncated.mp4", ns=2)  # mended
    (shelf.films / "old" / "c.mp4").unlink()
    assert outcome(shelf.extract("--retry-failed", code=3)) == {"already": 1, "done": 1, "failed": 1}
    capsys.readouterr()
    assert [each["file"] for each in ledger(shelf, capsys)] == ["old/a\nb.mp4", "old/c.mp4"]
    shelf.extract("--prune")
    assert [each["file"] for each in ledger(shelf, capsys)] == ["old/a\nb.mp4"]


def test_where_only_a_checkpoint_has_it_the_entrys_number_is_told(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shelf.store.root / "log"
    write_checkpoint(folder, shelf.store.log.last())
    core_log.entry_path(folder, 1).unlink()
    core_log.entry_path(folder, 2).unlink()
    first, *_ = ledger(shelf, capsys)
    assert (first["said"], first["entry"], first["file"]) == (None, 2, "old/a\nb.mp4")
    assert main([f"--data={shelf.folder / 'data'}", "--failed"]) == 0
    assert capsys.readouterr().out.startswith("entry 2  films/old/")
