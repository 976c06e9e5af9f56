"""`--between`: what its hours are, and a run that works in them only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.files import stamp_of
from core.log import Task
from core.store import Store
from core.types import Place
from extractor import job
from extractor.find import Target
from extractor.hours import LOOK_S, Hours, Pause
from extractor.job import Round, Wanted
from extractor.tally import Tally
from extractor.work import Job, Waiting, Work
from tests.extractor.shelf import Shelf, age, outcome
from tests.extractor.test_cli import run_command

DAY = datetime(2026, 11, 25)


def at(text: str) -> datetime:
    hour, minute = map(int, text.split(":"))
    return DAY + timedelta(hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "21:59"]),
        ("09:30-17:00", ["09:30", "16:59"], ["09:29", "17:00", "00:00"]),
        ("0:00-24:00", ["00:00", "12:00", "23:59"], []),
        ("18:00 - 24:00", ["18:00", "23:59"], ["00:00", "17:59"]),
        ("23:00-0:00", ["23:00", "23:59"], ["00:00", "22:59"]),
    ],
)
def test_hours_may_go_over_midnight(hours: str, inside: list[str], outside: list[str]) -> None:
    found = Hours.of(hours)
    assert [time for time in inside + outside if found.has(at(time))] == inside


@pytest.mark.parametrize(
    "hours",
    [
        "22",
        "22:00",
        "22-6",
        "25:00-06:00",
        "22:60-06:00",
        "24:00-06:00",
        "22:00-24:01",
        "a:b-c:d",
        "٢٢:٠٠-٠٦:٠٠",
    ],
)
def test_what_are_no_hours_is_told_with_an_example(hours: str) -> None:
    with pytest.raises(ValueError, match="two times of day, as in 22:00-06:00"):
        Hours.of(hours)


def test_hours_that_end_when_they_begin_are_refused() -> None:
    with pytest.raises(ValueError, match="end at another time than it begins"):
        Hours.of("22:00-22:00")


@pytest.mark.parametrize(
    ("now", "begins"), [("21:59", "22:00"), ("06:00", "22:00"), ("12:30", "22:00"), ("22:30", "46:00")]
)
def test_they_begin_again_today_or_tomorrow(now: str, begins: str) -> None:
    assert Hours.of("22:00-06:00").next(at(now)) == at(begins)


@dataclass
class Clock:
    """A day that passes only while somebody waits, or at one look to six in the morning."""

    at: datetime
    looks_until_six: int = 1_000_000
    slept_s: float = 0.0

    def now(self) -> datetime:
        self.looks_until_six -= 1
        if self.looks_until_six == 0:
            self.at = at("06:00")
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds <= LOOK_S
        self.slept_s += seconds
        self.at += timedelta(minutes=20)

    def pause(self, hours: str) -> Pause:
        return Pause(Hours.of(hours), self.now, self.sleep)


def job_of(shelf: Shelf, workers: int) -> Job:
    return Job(shelf.folder / "data" / "toy-rgb", "toy:rgb", workers=workers)


def run_of(shelf: Shelf, pause: Pause, workers: int = 0) -> Round:
    target = Target("films", os.fsencode(shelf.films), "folder")
    return Round(job_of(shelf, workers), Wanted(target), Tally(), threading.Event(), pause=pause)


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Six videos, not extracted."""
    shelf = Shelf(tmp_path)
    for number in range(6):
        path = shelf.put(videos / "short.webm", f"{number}.webm")
        path.write_bytes(path.read_bytes() + bytes(number))  # a content of its own
        age(path)
    return shelf


@pytest.mark.parametrize("workers", [0, 1])
def test_when_the_hours_end_what_is_in_hand_is_committed_and_the_rest_waits_for_the_next(
    shelf: Shelf, workers: int
) -> None:
    clock = Clock(at("22:00"), looks_until_six=5)  # one before it begins, and one for each of three files
    run = run_of(shelf, clock.pause("22:00-06:00"), workers)
    committed: list[int] = []
    for event in run.events():
        if isinstance(event, Waiting):
            assert event.until == at("22:00")
            committed.append(len(list(Store.open(run.job.store).log.last().live())))
    assert committed == 48 * [3]  # from six to ten, in steps of twenty minutes
    assert run.tally.done == 6 and len(shelf.live()) == 6 and not run.tally.lost
    assert clock.slept_s == 48 * LOOK_S


def test_before_its_hours_nothing_is_begun_not_even_a_folder(shelf: Shelf) -> None:
    clock = Clock(at("21:00"))
    run = run_of(shelf, clock.pause("22:00-06:00"))
    events = run.events()
    assert isinstance(next(events), Waiting)
    assert not (shelf.folder / "data").exists()
    list(events)
    assert run.tally.done == 6


def test_a_stop_ends_a_wait_at_once(shelf: Shelf) -> None:
    clock = Clock(at("12:00"))
    run = run_of(shelf, clock.pause("22:00-06:00"))
    events = run.events()
    assert isinstance(next(events), Waiting)
    run.stop.set()
    assert list(events) == [] and run.tally.found == 0
    assert not (shelf.folder / "data").exists()


def test_a_file_that_changed_while_waiting_is_done_as_it_is_now(shelf: Shelf, videos: Path) -> None:
    clock = Clock(at("12:00"))
    run = run_of(shelf, clock.pause("22:00-06:00"))
    for number, event in enumerate(run.events()):
        if number == 0:
            assert isinstance(event, Waiting)
            (shelf.films / "0.webm").unlink()
            shelf.put(videos / "vfr.mkv", "1.webm", ns=1)
    assert run.tally.done == 5 and not run.tally.failed
    assert shelf.paths() == [f"{number}.webm" for number in range(1, 6)]
    assert run.tally.rows["frame"] > 5


def test_a_file_that_changed_when_no_pass_is_left_is_reported(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "PASSES", 1)
    run = run_of(shelf, Clock(at("12:00")).pause("22:00-06:00"))
    for number, _ in enumerate(run.events()):
        if number == 0:
            shelf.put(videos / "vfr.mkv", "1.webm", ns=1)
    ((place, error),) = run.tally.failed.values()
    assert (place.path, error) == (b"1.webm", "it changed while it was read")
    assert run.tally.done == 5 and run.tally.found == 6


def test_without_hours_every_work_is_handed_on_unseen(tmp_path: Path) -> None:
    gone = Work(Task(Place("films", b"gone.mp4", "1-1"), 0), os.fsencode(tmp_path / "gone.mp4"))
    text = Work(Task(Place("films", b"a#b", "t-1"), 0), text="red")
    assert list(Pause().within(iter((gone, text)))) == [gone, text]
    now = Clock(at("23:00")).pause("22:00-06:00")
    assert list(now.within(iter((gone, text)))) == [text]
    assert list(now.within(iter((gone, text)), is_last=True)) == [gone, text]
    (tmp_path / "gone.mp4").touch()
    stamp = stamp_of(os.stat(tmp_path / "gone.mp4"))
    there = Work(Task(Place("films", b"gone.mp4", stamp), 0), gone.file)
    assert list(now.within(iter((there,)))) == [there]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_command_says_when_it_goes_on_burns_nothing_and_ends_at_once(shelf: Shelf, workers: str) -> None:
    begin = datetime.now() + timedelta(hours=6)
    hours = f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"
    flags = [flag for flag in shelf.flags(f"--between={hours}", f"--workers={workers}") if flag != "--quiet"]
    code = "import sys; from extractor.cli import main\nif __name__ == '__main__': sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", code, *flags], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(f"paused until={begin:%H:%M} left=6" in line for line in lines)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    _, told = process.communicate()
    assert process.returncode == 130 and time.monotonic() - started < 20
    assert "stopped: 0 found: 0 done; no new rows; " in told
    report = shelf.report()
    assert report["found"] == 0 and report["seconds"]["paused"] > 0
    assert not (shelf.folder / "data").exists()


def test_within_its_hours_it_works_as_without(shelf: Shelf) -> None:
    process = run_command(shelf, "--between=00:00-24:00", "--nice=7")
    process.communicate()
    assert process.returncode == 0
    assert outcome(shelf.report()) == {"done": 6}
