"""Folders of a moment, and what a killed server leaves of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from server import temporary, workers

LEFT = """
import os, signal
from server import temporary
with temporary.folder() as folder:
    (folder / "film.mp4").write_bytes(b"x")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(path: Path) -> Path:
    os.utime(path, (1, 1))
    return path


def test_a_folder_is_gone_behind_who_used_it(here: Path) -> None:
    with temporary.folder() as folder:
        (folder / "film.mp4").write_bytes(b"x")
    assert [*here.iterdir()] == []


def test_what_a_killed_server_left_is_swept_and_nothing_else(here: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LEFT], env=os.environ | {"TMPDIR": str(here)}, capture_output=True, text=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    left = Path(ended.stdout.strip())
    assert left.parent == here and [*left.iterdir()]
    temporary.sweep()
    assert left.exists(), "it could be one that is made just now"
    aged(left)
    other, target = aged_folder(here / "cinedex-other"), aged_folder(here / "target")
    (here / "cinedex-served-link").symlink_to(target)
    with temporary.folder() as used:
        aged(used)
        temporary.sweep()
        assert used.is_dir()
    assert not left.exists() and other.is_dir() and target.is_dir()


def aged_folder(path: Path) -> Path:
    path.mkdir()
    return aged(path)


def test_the_figures_of_workers_lie_in_such_a_folder(here: Path) -> None:
    with workers._figures() as figures:
        assert Path(figures).parent == here and Path(figures).name.startswith("cinedex-served-")
        aged(Path(figures))
        temporary.sweep()
        assert Path(figures).is_dir()
    assert [*here.iterdir()] == []
