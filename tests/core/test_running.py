from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.running import FOLDER, STALE_S, running, runs


def until(is_so: Any) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def gone_pid() -> int:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    return process.pid


def left(data: Path, **other: Any) -> Path:
    """What a verb has left that never said its end."""
    now = time.time()
    held = {"verb": "extract", "pid": os.getpid(), "host": socket.gethostname(), "started": now, "beat": now}
    path = data / FOLDER / "extract-1-x.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(held | {"facts": {}} | other))
    return path


def test_a_verb_is_told_while_it_lasts_and_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path, "index build", {"follow": True}):
        until(lambda: runs(tmp_path))
        (found,) = runs(tmp_path)
        assert (found.verb, found.pid, found.host) == ("index build", os.getpid(), socket.gethostname())
        assert found.facts == {"follow": True} and found.started <= found.beat <= time.time()
    assert list(tmp_path.iterdir()) == []


def test_two_verbs_at_once_are_two(tmp_path: Path) -> None:
    with running(tmp_path, "serve"), running(tmp_path, "extract"):
        until(lambda: len(runs(tmp_path)) == 2)
    assert runs(tmp_path) == []


def test_a_data_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with running(tmp_path / "data", "extract"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["process", "beat"])
def test_what_was_killed_runs_no_more_and_the_next_one_sweeps_it(tmp_path: Path, how: str) -> None:
    other = {"pid": gone_pid()} if how == "process" else {"beat": time.time() - STALE_S - 1}
    path = left(tmp_path, **other)
    assert runs(tmp_path) == []
    with running(tmp_path, "serve"):
        until(lambda: not path.exists())


def test_of_another_machine_the_beat_alone_is_known(tmp_path: Path) -> None:
    left(tmp_path, host="elsewhere", pid=gone_pid())
    assert [each.host for each in runs(tmp_path)] == ["elsewhere"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"verb": 1}', "null"])
def test_a_file_that_is_none_of_ours_is_passed_over(tmp_path: Path, text: str) -> None:
    left(tmp_path).write_text(text)
    assert runs(tmp_path) == []
