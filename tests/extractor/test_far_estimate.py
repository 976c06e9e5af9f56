"""`--dry-run` over addresses: it fetches what it looks into, within bounds, and leaves nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from core.log import Task
from core.types import Place
from extractor import estimate, lengths, remote
from extractor.cli import main
from extractor.lengths import look_at
from extractor.url import url_of
from extractor.work import Remote, Spool, Work
from tests.extractor.shelf import Shelf
from tests.extractor.test_estimate import tried


@pytest.fixture
def memory(videos: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """Two videos, one of them large."""
    files = fsspec.filesystem("memory")
    data = (videos / "red.mp4").read_bytes()
    files.pipe("/films/red.mp4", data)
    files.pipe("/films/large.mp4", data + bytes(500_000))
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def work_of(folder: Path) -> Work:
    url = url_of("memory://films/red.mp4")
    stamp = remote.stamp_of(remote.info_of(remote.files_of(url), url))
    return Work(Task(Place("memory", b"films/red.mp4", stamp), 0), remote=Remote(url, Spool(folder, 10**9)))


def endless(after: Callable[[], object]) -> Callable[..., Iterator[bytes]]:
    """What an object is read with: its bytes never end, or so it seems for very long."""

    def blocks(*asked: object) -> Iterator[bytes]:
        for _ in range(100_000):
            yield b"x"
            after()

    return blocks


@pytest.mark.parametrize("why", ["stop", "time"])
def test_a_download_is_left_when_it_is_to_stop_or_its_time_is_over(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    stop, read = threading.Event(), list[int]()
    monkeypatch.setattr(lengths, "MOST_S", 60.0 if why == "stop" else 0.01)
    monkeypatch.setattr(remote, "blocks", endless(lambda: stop.set() if why == "stop" else read.append(0)))
    work = work_of(tmp_path / "spool")
    found = look_at([work, work], (), stop)
    assert (found.looked, found.unreadable, found.bytes, found.works) == (0, 0, 0, [])
    assert len(read) < 99_999 and [path.name for path in (tmp_path / "spool").iterdir()] == ["lock"]


def test_it_is_kept_for_a_while_on_the_disk_of_the_spool(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, whole, seen = Shelf(tmp_path), remote.blocks, set[str]()
    (tmp_path / "temporary").mkdir()

    def blocks(*asked: object) -> Iterator[bytes]:
        seen.update(path.parent.name for path in tmp_path.rglob(".cinedex-dry-run-*"))
        return whole(*asked)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(remote, "blocks", blocks)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    for there in ("temporary", "spool"):
        seen.clear()
        assert main(shelf.flags("--dry-run", "--videos=memory://films")) == 0
        assert seen == {there} and not list(tmp_path.rglob(".*"))
        (tmp_path / "data" / "spool").mkdir(parents=True, exist_ok=True)


def test_what_is_too_large_for_a_try_is_not_looked_into_and_nothing_that_cannot_be_opened(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(estimate, "MOST_SPOOL_BYTES", 400_000)
    videos = tried(shelf, "--videos=memory://films")["videos"]
    assert (videos["count"], videos["looked"], videos["unreadable"]) == (2, 1, 0)
    assert videos["seconds"] > 100  # by its bytes the large one is long
    videos = tried(shelf, "--videos=memory://films", "--spool-gb=0.0003")["videos"]
    assert (videos["looked"], videos["unreadable"]) == (2, 1)  # the run does not fetch it either
