"""One line that redraws itself on a terminal, an event a minute in a log otherwise."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable

from extractor.tally import Tally

log = logging.getLogger(__name__)
DRAW_S, LOG_S = 0.2, 60.0


class Progress:
    """`left`: how many places are known to be to do, and whether these are all."""

    def __init__(self, tally: Tally, left: Callable[[], tuple[int, bool]], *, may_draw: bool) -> None:
        self._tally, self._left = tally, left
        self._draws = may_draw and sys.stderr.isatty()
        self._next = time.monotonic() + (0.0 if self._draws else LOG_S)

    def show(self) -> None:
        """Draw or log if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (DRAW_S if self._draws else LOG_S)
        if self._draws:
            line = self.line()[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            self._log()

    def clear(self) -> None:
        """Make room for another line."""
        if self._draws:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._next = 0.0

    def line(self) -> str:
        """Videos, rows a second, pictures a second, failed, left, time to go."""
        tally, (left, is_all) = self._tally, self._left()
        seconds = max(tally.seconds, 1e-3)
        finished = tally.done + tally.copies + len(tally.failed)
        eta = f", {_clock(left * seconds / finished)} to go" if finished and left and is_all else ""
        return (
            f"{finished} done, {tally.rows.total() / seconds:.0f} rows/s, "
            f"{tally.pictures / seconds:.0f} pictures/s, {len(tally.failed)} failed, "
            f"{left}{'' if is_all else '+'} left{eta}"
        )

    def _log(self) -> None:
        tally, (left, is_all) = self._tally, self._left()
        log.info(
            "running done=%d rows=%d pictures=%d failed=%d left=%d is_all=%s wait_pictures=%.1f seconds=%.0f",
            tally.done + tally.copies,
            tally.rows.total(),
            tally.pictures,
            len(tally.failed),
            left,
            is_all,
            tally.wait_pictures,
            tally.seconds,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
