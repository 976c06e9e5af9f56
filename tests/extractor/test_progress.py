"""What a run shows while it works: on a terminal one line, in a log now and then an event."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from core.log import Task
from core.types import Place
from extractor.job import Ahead
from extractor.progress import Progress
from extractor.tally import Tally
from extractor.work import Encoded, Left, Lost, Report, Waiting, Work
from tests.extractor.shelf import Shelf, age

UNTIL = datetime(2026, 11, 25, 22)


def read_all(terminal: int) -> str:
    """What was written to the other end until nobody holds it."""
    data = b""
    try:
        while piece := os.read(terminal, 4096):
            data += piece
    except OSError:  # EIO is the end of a terminal
        pass
    return data.decode()


def test_on_a_real_terminal_one_line_is_drawn_over_and_what_is_told_stands_by_itself(
    tmp_path: Path, videos: Path, broken: Path
) -> None:
    shelf = Shelf(tmp_path)
    for number in range(12):
        path = shelf.put(videos / "red.mp4", f"{number}.mp4")
        path.write_bytes(path.read_bytes() + bytes(number))
        age(path)
    shelf.put(broken / "truncated.mp4")
    terminal, theirs = pty.openpty()
    code = "import sys; from extractor.cli import main\nif __name__ == '__main__': sys.exit(main())"
    line = [flag for flag in shelf.flags("--fps=30", "--clip-seconds=1") if flag != "--quiet"]
    with subprocess.Popen([sys.executable, "-c", code, *line], stderr=theirs) as process:
        os.close(theirs)
        told = read_all(terminal)
    os.close(terminal)
    assert process.returncode == 3
    drawn = re.findall(r"\r\x1b\[K(\d+ done[^\r\n]*)", told)
    assert len(drawn) >= 2 and all(" left" in each and " rows/s, " in each for each in drawn), told
    assert all(len(each) < 80 for each in drawn)
    lines = [each.rpartition("\x1b[K")[2] for each in told.split("\r\n") if each]
    assert "store=" in lines[0] and "13 found: 12 done, 1 failed; " in lines[-1]
    assert sum("WARNING extractor.cli: failed path=films/truncated.mp4" in each for each in lines) == 1


def test_the_time_to_go_goes_by_bytes_of_what_is_left_and_in_hand() -> None:
    tally = Tally()
    places = [Place("films", b"%d.mp4" % n, f"{size}-1") for n, size in enumerate((100, 300, 600))]
    ahead = Ahead(iter([Work(Task(place, 0)) for place in places]), tally)
    assert ahead.look()
    assert ahead.left() == Left(3, 1000, True)
    next(ahead)
    assert ahead.left() == Left(2, 1000, True)  # the first is in hand
    tally.take(Report(places[0], "done"))
    assert ahead.left() == Left(2, 900, True)
    tally.started -= 10
    line = Progress(tally, ahead.left, may_draw=True).line()
    assert line == "1 done, 2 left, 1:30 to go, 0 rows/s, 0 pictures/s"
    tally.paused = 5.0
    assert "0:45 to go" in Progress(tally, ahead.left, may_draw=True).line()


def test_what_a_lost_worker_had_in_hand_is_left_for_the_next_pass() -> None:
    tally = Tally()
    works = [Work(Task(Place("films", b"%d.mp4" % n, "100-1"), 0)) for n in range(3)]
    ahead = Ahead(iter(works), tally)
    ahead.look()
    tally.take(Lost("was killed by SIGKILL", open=(next(ahead), next(ahead))))
    assert ahead.left() == Left(3, 300, True)
    again = Ahead(iter(works), tally)
    again.look()
    assert again.left() == Left(3, 300, True)


def test_a_second_pass_begins_with_what_it_has_to_do_itself() -> None:
    tally = Tally(bytes=5000)
    ahead = Ahead(iter([Work(Task(Place("films", b"a.mp4", "70-1"), 0))]), tally)
    ahead.look()
    assert ahead.left() == Left(1, 70, True)


def test_while_the_listing_goes_on_no_time_is_promised() -> None:
    tally = Tally(done=3, bytes=300)
    assert "to go" not in Progress(tally, lambda: Left(6, 600, False), may_draw=True).line()
    assert " 6+ left" in Progress(tally, lambda: Left(6, 600, False), may_draw=True).line()


def test_a_pause_is_logged_once_and_shown_on_the_line(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(Tally(), lambda: Left(6, 600, True), may_draw=True)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            progress._next = 0.0
            progress.show(Waiting(UNTIL))
        assert [record.getMessage() for record in caplog.records] == ["paused until=22:00 left=6"]
        assert progress.line() == "0 done, 6 left, paused until 22:00"
        progress.show(Encoded(0))
        assert "running done=0" in caplog.records[-1].getMessage()
        progress.show(Waiting(UNTIL))
    assert caplog.records[-1].getMessage() == "paused until=22:00 left=6"
