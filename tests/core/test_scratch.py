"""Folders that do not outlive who made them for long."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.scratch import scratch

CODE = """
import sys, time
from core.scratch import scratch
with scratch("trial") as folder:
    (folder / "held.txt").write_text("")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def holder() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str], number: int | None = None) -> None:
    if number is not None:
        process.send_signal(number)
    process.communicate()


def test_what_a_killed_process_left_is_gone_after_the_next_start(tmp_path: Path) -> None:
    process, left = holder()
    with scratch("trial") as mine:
        assert left.is_dir() and mine.is_dir(), "it lives, and is left alone"
    assert not mine.exists()
    end(process, signal.SIGKILL)
    assert (left / "held.txt").exists()
    with scratch("trial") as mine:
        assert not left.exists() and mine.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_what_is_held_linked_or_called_otherwise_stays(tmp_path: Path) -> None:
    process, left = holder()
    end(process, signal.SIGKILL)
    gone = left.name.removeprefix("cinedex-trial-").partition("-")[0]
    left = left.rename(tmp_path / f"cinedex-other-{gone}-a")  # another verb's
    held = tmp_path / f"cinedex-trial-{gone}-held"  # of a process that has another number here
    theirs = tmp_path / "theirs"
    for folder in (held, theirs):
        folder.mkdir()
        (folder / ".lock").touch()
    link = tmp_path / f"cinedex-trial-{gone}-link"
    link.symlink_to(theirs)
    unlocked = tmp_path / f"cinedex-trial-{gone}-begun"
    unlocked.mkdir()
    named = tmp_path / "cinedex-trial-notes-1"
    named.mkdir()
    with (held / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with scratch("trial") as mine:
            assert mine.name.startswith(f"cinedex-trial-{os.getpid()}-")
    assert all(path.exists() for path in (left, held, theirs, link, unlocked, named))
    assert (theirs / ".lock").exists()
