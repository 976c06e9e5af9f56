"""`extract --watch`: what arrives is embedded, and what is being written is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from extractor.cli import main
from tests.extractor.shelf import LONG_AGO_NS, Shelf, age, outcome


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.films.mkdir()
    return shelf


class Rounds(threading.Event):
    """A stop: each pause between two rounds is one of these acts, and after the last one it is set."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        super().__init__()
        self._acts = iter(acts)

    def wait(self, timeout: float | None = None) -> bool:
        act = next(self._acts, None)
        if act is None:
            self.set()
        else:
            act()
        return self.is_set()


def watch(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object], flags: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The report of a run with these things happening between its rounds."""

    @contextmanager
    def stopping() -> Iterator[threading.Event]:
        yield Rounds(*acts)

    monkeypatch.setattr("extractor.cli.stopping", stopping)
    assert main(shelf.flags("--watch", *flags)) == 130
    return shelf.report()


def test_what_arrives_is_embedded_and_each_place_is_counted_once(
    shelf: Shelf, videos: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(videos / "red.mp4")
    shelf.extract()
    report = watch(
        shelf,
        monkeypatch,
        lambda: shelf.put(videos / "short.webm"),
        lambda: None,
        lambda: (shelf.put(videos / "short.webm", "copy.webm"), shelf.put(broken / "truncated.mp4")),
        lambda: None,
    )
    assert outcome(report) == {"already": 1, "done": 1, "copies": 1, "failed": 1}
    assert shelf.paths() == ["copy.webm", "red.mp4", "short.webm"]


def test_what_is_still_being_written_is_left_until_it_rests(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (videos / "red.mp4").read_bytes()
    path = shelf.films / "red.mp4"

    def write(count: int) -> Callable[[], object]:
        return lambda: path.write_bytes(data[:count])

    seen: list[int] = []
    report = watch(
        shelf,
        monkeypatch,
        write(1_000),
        write(2_000),
        lambda: seen.append((shelf.folder / "data" / "toy-rgb").exists()),
        write(len(data)),
        lambda: age(path),
        lambda: None,
    )
    assert seen == [False]
    assert outcome(report) == {"done": 1} and report["failed"] == []


def test_a_list_is_read_again_and_a_half_written_line_is_told_and_waited_for(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("red.mp4", "short.webm"):
        shelf.put(videos / name)
    path = shelf.folder / "l.jsonl"
    path.write_text('{"path": "films/red.mp4"}\n')
    report = watch(
        shelf,
        monkeypatch,
        lambda: path.write_text('{"path": "films/red.mp4"}\n{"path": "fil'),
        lambda: path.write_text('{"path": "films/red.mp4", "n": 1}\n{"path": "films/short.webm"}\n'),
        lambda: None,
        flags=(f"--videos={path}",),
    )
    assert outcome(report) == {"done": 2, "copies": 1}  # one of them only has new columns
    assert caplog.text.count("line 2: it is not JSON") == 1


def test_what_was_asked_for_again_is_done_again_once(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(videos / "red.mp4")
    shelf.extract()
    report = watch(shelf, monkeypatch, lambda: None, lambda: None, flags=("--again",))
    assert outcome(report) == {"done": 1}


def test_watching_does_not_prune(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shelf.flags("--watch", "--prune")) == 2
    assert "--watch with --prune cannot be" in capsys.readouterr().err


def test_a_watching_process_loads_an_encoder_when_it_has_work_and_ends_by_a_signal(
    shelf: Shelf, videos: Path
) -> None:
    flags = [
        flag for flag in shelf.flags("--watch", "--watch-seconds=0.1", "--workers=1") if flag != "--quiet"
    ]
    command = [sys.executable, "-c", "import sys; from extractor.cli import main; sys.exit(main())", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = process.stderr
        assert any("waiting for what arrives done=0" in line for line in lines)
        with open(f"/proc/{process.pid}/maps") as maps:
            assert "libtorch" not in maps.read()
        os.replace(age(_beside(shelf, videos)), shelf.films / "red.mp4")
        assert any("waiting for what arrives done=1" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert any("stopped: 1 found: 1 done" in line for line in lines)
        assert process.wait() == 130
    assert shelf.paths() == ["red.mp4"]


def _beside(shelf: Shelf, videos: Path) -> Path:
    path = shelf.folder / "red.mp4"
    path.write_bytes((videos / "red.mp4").read_bytes())
    return age(path, LONG_AGO_NS)
