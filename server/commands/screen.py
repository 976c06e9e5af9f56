"""What people see of a command that runs for long: lines, and beneath them one that redraws itself."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from contextlib import suppress

from core.logs import LogFormat, plain
from core.running import Running

log = logging.getLogger(__name__)
TELL_S = 30.0  # between two lines about the same, where nothing can be redrawn


class Screen:
    """stderr, for several threads."""

    def __init__(self, log_format: LogFormat, *, quiet: bool) -> None:
        self._is_quiet, self._logs = quiet, log_format != "text"
        self._draws = not quiet and not self._logs and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._line, self._next = "", 0.0

    def say(self, text: str) -> None:
        """Something that stays."""
        with self._lock:
            if not self._is_quiet:
                self._write(text)

    def hear(self, text: str) -> None:
        """What a verb says: with --quiet too."""
        with self._lock:
            self._put(f"{self._cleared()}{text}\n{self._line}")

    def draw(self, text: str) -> None:
        """What is going on now."""
        with self._lock:
            now = time.monotonic()
            if self._draws and text != self._line:
                self._line = text[: shutil.get_terminal_size().columns - 1]
                self._put(f"\r\x1b[K{self._line}")
            elif not self._draws and not self._is_quiet and text and now >= self._next:
                self._next = now + TELL_S
                self._write(text)

    def _write(self, text: str) -> None:
        if self._logs:
            log.info("%s", text)
        else:
            self._put(f"{self._cleared()}{text}\n{self._line}")

    def _cleared(self) -> str:
        return "\r\x1b[K" if self._draws and self._line else ""

    def _put(self, text: str) -> None:
        with suppress(OSError):  # a terminal that was closed
            sys.stderr.write(text)
            sys.stderr.flush()


def in_words(extracting: Running | None, name: str) -> str:
    """How far an `extract` is, as of its last beat."""
    facts = extracting.facts if extracting else {}
    if "done" not in facts:
        return f"{plain(name)}: looking for what is new"
    if facts.get("paused_until"):
        return f"{plain(name)}: paused until {facts['paused_until']}"
    more = "" if facts.get("is_all") else " or more"
    parts = [f"{facts['done']} taken in", f"{facts.get('left', 0)}{more} to go"]
    parts += [f"{facts['failed']} cannot be read"] if facts.get("failed") else []
    seconds = float(facts.get("seconds_left", 0))
    parts += [f"about {_time(seconds)} left"] if seconds else []
    return f"{plain(name)}: {', '.join(parts)}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
