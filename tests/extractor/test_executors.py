"""Processes: how many makes no difference, and the end of one costs what it had in hand."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.errors import EncoderError, Error
from core.log import Task
from core.store import Store
from core.types import Place
from extractor.executors import processes
from extractor.find import target_of
from extractor.job import Round, Wanted
from extractor.tally import Tally
from extractor.work import Job, Lost, Patience, Report, Work
from tests.extractor.shelf import FIRST, Shelf, outcome, trap, vectors


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Six videos, not extracted."""
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "green.mp4", "late.mp4", "short.webm", "vfr.mkv", "with-sound.mkv"):
        shelf.put(videos / name)
    return shelf


def run_of(shelf: Shelf, **how: float) -> Round:
    job = Job(shelf.folder / "data" / "toy-rgb", "toy:rgb", cores=1, **how)  # type: ignore[arg-type]
    return Round(job, Wanted(target_of(str(shelf.films))), Tally(), threading.Event())


def test_two_workers_make_what_one_does(shelf: Shelf, tmp_path: Path) -> None:
    alone = Shelf(tmp_path / "alone")
    for path in shelf.films.iterdir():
        alone.put(path)
    alone.extract()
    run = run_of(shelf, workers=2)
    sources = [event.source for event in run.events() if isinstance(event, Report)]
    assert sorted(sources) == sorted(alone.live())
    assert vectors(shelf.store) == vectors(alone.store)
    assert not multiprocessing.active_children()


def test_a_killed_worker_costs_only_what_it_had_not_committed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap(shelf.folder, monkeypatch, "short.webm", f"os.kill({FIRST}, signal.SIGKILL)")
    run = run_of(shelf, workers=1, batch=1)
    lost = [event for event in run.events() if isinstance(event, Lost)]
    assert [event.why for event in lost] == ["was killed by SIGKILL"]
    assert lost[0].open[-1].place.path == b"short.webm"
    assert run.tally.done == 6 and not run.tally.failed and not run.tally.lost
    assert sum(run.tally.rows.values()) == sum(len(rows[0]) for rows in vectors(shelf.store).values())
    assert outcome(shelf.extract()) == {"already": 6}
    assert len(shelf.live()) == 6


def test_a_video_that_kills_its_worker_every_time_is_found_out(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(videos / "blue.mp4", "deadly.mp4")
    trap(shelf.folder, monkeypatch, "deadly.mp4", f"os.kill({FIRST}, signal.SIGSEGV)", once=False)
    run = run_of(shelf, workers=1)
    list(run.events())
    ((place, error),) = run.tally.failed.values()
    assert (place.path, error) == (b"deadly.mp4", "its worker was killed by SIGSEGV")
    assert run.tally.done == 6 and run.tally.found == 7
    assert outcome(shelf.extract()) == {"already": 6, "failed_before": 1}


def test_a_worker_that_ends_within_each_commit_loses_no_video_in_silence(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "short.webm")
    trap(shelf.folder, monkeypatch, "manifest.json", "os.kill(os.getpid(), signal.SIGKILL)", once=False)
    run = run_of(shelf, workers=1)
    list(run.events())
    ((place, error),) = run.tally.failed.values()
    assert (place.path, error) == (b"short.webm", "its worker was killed by SIGKILL")
    assert run.tally.found == 1 and not run.tally.lost


def test_a_commit_that_nobody_heard_of_counts(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("short.webm", "late.mp4"):
        shelf.put(videos / name)
    # The first entry with a word is read back right after it was linked, and before the parent is told.
    kill, when = "os.kill(os.getpid(), signal.SIGKILL)", "os.path.exists(args[0])"
    trap(shelf.folder, monkeypatch, "000002.jsonl", kill, when=when)
    run = run_of(shelf, workers=1)
    assert [event.count for event in run.events() if isinstance(event, Lost)] == [2]
    assert (run.tally.done, run.tally.found) == (2, 2) and not run.tally.lost
    assert len(shelf.live()) == 2


def test_what_is_lost_in_every_pass_is_told_and_tried_in_the_next_run(shelf: Shelf) -> None:
    run = run_of(shelf, workers=1)
    place = Place("films", b"elsewhere.mp4", "1-1")
    run.tally.take(Lost("was killed by SIGKILL", open=(Work(Task(place, 0)),)))
    list(run.events())
    assert run.tally.failed == {("films", b"elsewhere.mp4"): (place, "its worker ended each time")}
    assert run.tally.done == 6 and shelf.store.log.last().place(place) is None


def test_a_file_on_which_all_of_a_worker_hangs_is_given_up(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(videos / "blue.mp4", "endless.mp4")
    trap(shelf.folder, monkeypatch, "endless.mp4", f"os.kill({FIRST}, signal.SIGSTOP)", once=False)
    monkeypatch.setattr("extractor.executors.SILENT_S", 4.0)
    run = run_of(shelf, workers=1, batch=1, stall_s=2.0)
    list(run.events())
    ((place, error),) = run.tally.failed.values()
    assert place.path == b"endless.mp4" and error.startswith("its worker said nothing for "), error
    assert run.tally.done == 6 and run.tally.found == 7


def test_a_clock_stands_still_while_the_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("extractor.work.time.monotonic", lambda: now[0])
    clock = Patience(1.0)
    now[0] += 0.5
    assert clock.look() == 0.5
    now[0] += 3600.0
    assert clock.look() == 1.5


def test_a_workers_mistake_is_told_by_the_parent(tmp_path: Path) -> None:
    feed = iter([Work(Task(Place("films", b"a.mp4", "1-1"), 0), file=b"/nowhere")])
    job = Job(tmp_path / "store", "none:such")
    with pytest.raises(EncoderError, match="There is no encoder family 'none'"):
        list(processes(job, ["cpu"], feed, threading.Event()))
    assert not multiprocessing.active_children()


def test_a_worker_that_cannot_begin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = dies_while_starting(tmp_path, monkeypatch, times=9)
    with pytest.raises(Error, match=r"A worker ended with exit code 7 before it had begun\."):
        list(processes(Job(tmp_path / "store", "toy:rgb"), ["cpu"], iter(()), threading.Event()))
    assert len(begun.read_text()) == 3


def test_a_worker_that_is_killed_while_it_starts_is_started_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = dies_while_starting(shelf.folder, monkeypatch, times=2)
    run = run_of(shelf, workers=1)
    assert not [event for event in run.events() if isinstance(event, Lost)]
    assert run.tally.done == 6 and len(begun.read_text()) == 3


def dies_while_starting(folder: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> Path:
    """The first so many workers end at once; the file that gets a mark from each worker."""
    begun = folder / "begun"
    code = f"""
import os, sys
if "spawn_main" in " ".join(sys.orig_argv):
    with open({str(begun)!r}, "a") as marks:
        marks.write(".")
        if marks.tell() <= {times}:
            os._exit(7)
"""
    (folder / "sitecustomize.py").write_text(code.replace("os._exit", "marks.close(); os._exit"))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return begun


def test_workers_end_with_their_parent(shelf: Shelf) -> None:
    code = f"""
import os, sys, threading, multiprocessing
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.extractor.test_executors import run_of
from tests.extractor.shelf import Shelf
from pathlib import Path
if __name__ == "__main__":
    for event in run_of(Shelf(Path({str(shelf.folder)!r})), workers=2).events():
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), 9)
"""
    (shelf.folder / "parent.py").write_text(code)
    parent = subprocess.run(
        [sys.executable, shelf.folder / "parent.py"], stdout=subprocess.PIPE, text=True, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    children = [int(pid) for pid in parent.stdout.split()]
    assert len(children) == 2
    end = time.monotonic() + 30
    while any(is_running(pid) for pid in children):
        assert time.monotonic() < end
    assert outcome(shelf.extract()) in ({"done": 6}, {"done": 5, "already": 1})


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_two_extractors_at_once_lose_nothing_and_double_nothing(shelf: Shelf, videos: Path) -> None:
    flags = shelf.flags("--workers=0")
    code = f"import sys; from extractor.cli import main; sys.exit(main({flags!r}))"
    both = [subprocess.Popen([sys.executable, "-W", "error", "-c", code]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(shelf.live()) == 6
    assert len({source for source, _ in vectors(shelf.store)}) == 6
    assert Store.open(shelf.store.root).log.last().number >= 2
    assert outcome(shelf.extract()) == {"already": 6}
