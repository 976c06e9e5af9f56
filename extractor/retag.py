"""New columns of what is embedded already: words alone, without an encoder and without reading a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.log import Task
from core.store import Store
from core.writer import Writer
from extractor.tally import Tally
from extractor.work import Report

MOST_WORDS = 10_000  # before they are committed


class Retags:
    """Says what a list has changed. begin: called before anything is said."""

    def __init__(self, store: Path, tally: Tally, begin: Callable[[], None]) -> None:
        self._store, self._tally, self._begin = store, tally, begin
        self._writer: Writer | None = None
        self._waiting: list[Report] = []

    def take(self, task: Task) -> None:
        """Its place keeps what it holds, and has these columns."""
        self._writer = self._writer or Writer(Store.open(self._store))
        self._writer.seen(task, task.source, columns=task.place.columns)
        self._waiting.append(Report(task.place, "copy", task.source))
        if len(self._waiting) >= MOST_WORDS:
            self.commit()

    def commit(self) -> None:
        """Make it true."""
        if self._writer is None or not self._waiting:
            return
        self._begin()
        self._writer.commit()
        for report in self._waiting:
            self._tally.take(report)
        self._waiting.clear()
