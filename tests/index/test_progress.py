"""A build says what it does on stderr: one line on a terminal, events elsewhere."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from index import progress
from index.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DRAW_S", 0.0)
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    shown = Progress()
    shown.begin("frame: adding", 1000)
    shown.add(400)
    shown.end()
    lines = stderr.getvalue().split("\r\x1b[K")
    assert lines[1] == "frame: adding: 1000 rows"
    assert lines[2].startswith("frame: adding: 400 of 1000 rows, 0 s, ")
    assert lines[-1] == ""


def test_elsewhere_what_begins_is_an_event(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])
    caplog.set_level(logging.INFO)
    shown = Progress()
    shown.begin("frame: training IVF8,SQ8 on a sample", 320)
    shown.add(1)
    shown.end()
    assert [record.message for record in caplog.records] == ["frame: training IVF8,SQ8 on a sample: 320 rows"]
    assert stderr.getvalue() == ""
