"""How far a build is: one line that redraws itself on a terminal, events in a log otherwise."""

from __future__ import annotations

import logging
import shutil
import sys
import time

log = logging.getLogger(__name__)
DRAW_S, LOG_S = 0.2, 60.0


class Progress:
    """What is being done to how many rows, and for how long."""

    def __init__(self) -> None:
        self._draws = sys.stderr.isatty()
        self.begin("", 0, is_shown=False)

    def begin(self, doing: str, total: int, *, is_shown: bool = True) -> None:
        """Something else; it is shown at once, and its seconds count from here."""
        self._doing, self._done, self._total = doing, 0, total
        self._began = self._shown = time.monotonic()
        if is_shown:
            self._show(f"{doing}: {total} rows")

    def add(self, rows: int) -> None:
        """So many more rows are done; shown if it is time to."""
        self._done += rows
        now = time.monotonic()
        if now - self._shown >= (DRAW_S if self._draws else LOG_S):
            seconds = now - self._began
            left = seconds * (self._total - self._done) / max(self._done, 1)
            self._show(
                f"{self._doing}: {self._done} of {self._total} rows, {seconds:.0f} s, {left:.0f} s left"
            )

    def end(self) -> None:
        """Make room for another line."""
        if self._draws:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self, line: str) -> None:
        self._shown = time.monotonic()
        if self._draws:
            sys.stderr.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
            sys.stderr.flush()
        else:
            log.info("%s", line)
