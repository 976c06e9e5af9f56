"""The processor: whose time is counted, and who steps back."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from extractor.pipeline import Told, work
from extractor.usage import cpu_s, kept_loaded
from extractor.work import Job, Work
from tests.extractor.shelf import Shelf, trap


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """One video, not extracted."""
    shelf = Shelf(tmp_path)
    shelf.put(videos / "late.mp4")
    return shelf


BURN = "import time\nwhile time.process_time() < 0.6: pass\n"


def test_it_counts_this_process_and_what_it_started_dead_or_alive() -> None:
    before = cpu_s()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    own = cpu_s() - before
    assert 0.3 <= own < 0.6
    subprocess.run([sys.executable, "-c", BURN], check=True)
    ended = cpu_s() - before - own
    assert 0.6 <= ended < 1.2
    code = f"import subprocess, sys\n{BURN}print('burnt', flush=True)\nsys.stdin.read()"
    nest = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdin is not None
        assert child.stdout.readline() == "burnt\n"
        running = cpu_s() - before - own - ended
        assert 0.5 < running < 1.5, "a child's child that still runs"
        child.stdin.close()


def niceness(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_all_threads_of_a_process_step_back_and_what_it_starts() -> None:
    code = """
import os, subprocess, sys, threading
from extractor.usage import be_nice
started, goes_on = threading.Event(), threading.Event()
found = []
def wait():
    started.set(); goes_on.wait(); found.append(os.getpriority(os.PRIO_PROCESS, 0))
thread = threading.Thread(target=wait); thread.start(); started.wait()
be_nice(7); goes_on.set(); thread.join()
child = "import os; print(os.getpriority(os.PRIO_PROCESS, 0), end='')"
print(*found, os.getpriority(os.PRIO_PROCESS, 0), flush=True, end=" ")
subprocess.run([sys.executable, "-c", child])
"""
    held = os.getpriority(os.PRIO_PROCESS, 0)
    expected = max(7, held)
    assert niceness(code) == f"{expected} {expected} {expected}"


def test_who_is_nicer_already_stays_so() -> None:
    code = (
        "import os; from extractor.usage import be_nice; os.nice(19); be_nice(3); print(os.nice(0), end='')"
    )
    assert niceness(code) == "19"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_whoever_decodes_is_as_nice_as_was_asked(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    noted = shelf.folder / "noted"
    act = f"open({str(noted)!r}, 'a').write(str(os.getpriority(os.PRIO_PROCESS, 0)) + ' ')"
    trap(shelf.folder, monkeypatch, "late.mp4", act)
    code = "import sys; from extractor.cli import main\nif __name__ == '__main__': sys.exit(main())"
    line = [sys.executable, "-c", code, *shelf.flags("--nice=19", f"--workers={workers}")]
    subprocess.run(line, check=True)
    assert noted.read_text().split() == ["19"]


@pytest.fixture
def nothing_held() -> Iterator[None]:
    """As in a process of one's own: this one holds what the tests have loaded."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("nothing_held")
def test_what_is_loaded_is_looked_through_no_more_until_the_work_is_done(tmp_path: Path) -> None:
    found = []

    def feed() -> Iterator[Work]:
        found.append(gc.get_freeze_count())
        yield from ()

    list(work(Job(tmp_path / "store", "toy:rgb", workers=0), "cpu", feed(), threading.Event()))
    assert found[0] > 10_000
    assert gc.get_freeze_count() == 0


@pytest.mark.usefixtures("nothing_held")
def test_a_run_that_is_given_up_lets_go_too(tmp_path: Path) -> None:
    job = Job(tmp_path / "store", "toy:rgb", workers=0)
    with closing(cast(Generator[Told], work(job, "cpu", iter(()), threading.Event()))) as told:
        next(told)
        next(told)
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0


@pytest.mark.usefixtures("nothing_held")
def test_what_the_caller_holds_stays_held(tmp_path: Path) -> None:
    job = Job(tmp_path / "store", "toy:rgb", workers=0)
    with kept_loaded():
        held = gc.get_freeze_count()
        list(work(job, "cpu", iter(()), threading.Event()))
        assert 10_000 < gc.get_freeze_count() <= held  # what nobody needs any more may be gone
    assert gc.get_freeze_count() == 0
