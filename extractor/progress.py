"""One line that redraws itself on a terminal, an event a minute in a log otherwise."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable

from core.running import BEAT_S, Beat, Facts
from extractor.tally import Tally
from extractor.work import Event, Left, Waiting

log = logging.getLogger(__name__)
DRAW_S, LOG_S = 0.2, 60.0


class Progress:
    """What a run has done, how fast, and what is left of it."""

    def __init__(
        self, tally: Tally, left: Callable[[], Left], *, may_draw: bool, beat: Beat | None = None
    ) -> None:
        self._tally, self._left = tally, left
        self._beat, self._next_beat = beat or Beat(), 0.0
        self._draws = may_draw and sys.stderr.isatty()
        self._next = time.monotonic() + (0.0 if self._draws else LOG_S)
        self._waits = ""

    def show(self, event: Event) -> None:
        """Draw or log if it is time to; a wait is logged once, when it begins."""
        waits = f"{event.until:%H:%M}" if isinstance(event, Waiting) else ""
        if waits and not self._waits:
            self.clear()
            log.info("paused until=%s left=%d", waits, self._left().count)
        self._waits = waits
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_S / 2
            self._beat.facts = {**self._beat.facts, **self.facts()}
        if time.monotonic() < self._next or (waits and not self._draws):
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
        """Done, failed, left, time to go; rows and pictures a second."""
        tally, left = self._tally, self._left()
        seconds = max(tally.seconds - tally.paused, 1e-3)
        done = tally.done + tally.copies
        failed = f", {len(tally.failed)} failed" if tally.failed else ""
        rates = f"{tally.rows.total() / seconds:.0f} rows/s, {tally.pictures / seconds:.0f} pictures/s"
        to_go = self._to_go(left)
        now = f"{to_go} to go, {rates}" if to_go else rates
        now = f"paused until {self._waits}" if self._waits else now
        return f"{done} done{failed}, {left.count}{'' if left.is_all else '+'} left, {now}"

    def facts(self) -> Facts:
        """The same for other processes; seconds_left is 0 where it is not known."""
        tally, left = self._tally, self._left()
        return {
            "done": tally.done + tally.copies,
            "failed": len(tally.failed),
            "left": left.count,
            "is_all": left.is_all,
            "seconds_left": round(self._seconds_left(left), 1),
            "paused_until": self._waits,
        }

    def _to_go(self, left: Left) -> str:
        return clock(seconds) if (seconds := self._seconds_left(left)) else ""

    def _seconds_left(self, left: Left) -> float:
        """By bytes, which tell a film from a clip, at the speed so far; 0 where that is not known."""
        if not (left.is_all and left.bytes and self._tally.bytes):
            return 0.0
        return left.bytes * (self._tally.seconds - self._tally.paused) / self._tally.bytes

    def _log(self) -> None:
        tally, left = self._tally, self._left()
        log.info(
            "running done=%d rows=%d pictures=%d failed=%d left=%d is_all=%s to_go=%s wait_pictures=%.1f "
            "seconds=%.0f",
            tally.done + tally.copies,
            tally.rows.total(),
            tally.pictures,
            len(tally.failed),
            left.count,
            left.is_all,
            self._to_go(left) or "unknown",
            tally.wait_pictures,
            tally.seconds,
        )


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours before them."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
