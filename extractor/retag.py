"""New columns of what is embedded already: words alone, without an encoder and without reading a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from core.log import Task
from core.store import Store
from core.types import Place
from core.writer import Writer
from extractor.tally import Tally
from extractor.work import Job, Report

MOST_WORDS = 10_000  # before they are committed


class Retags:
    """Says what a list has changed, in every store of the collection. begin: called before it is said."""

    def __init__(self, job: Job, tally: Tally, begin: Callable[[], None]) -> None:
        self._job, self._tally, self._begin = job, tally, begin
        self._writer: Writer | None = None
        self._waiting: list[Report] = []

    @cached_property
    def _others(self) -> list[_Other]:
        return [_Other(Store.open(path)) for path in self._job.beside]

    def take(self, task: Task) -> None:
        """Its place keeps what it holds, and has these columns."""
        self._writer = self._writer or Writer(Store.open(self._job.store))
        self._writer.seen(task, task.source, columns=task.place.columns)
        for other in self._others:
            other.take(task.place)
        self._waiting.append(Report(task.place, "copy", task.source))
        if len(self._waiting) >= MOST_WORDS:
            self.commit()

    def commit(self) -> None:
        """Make it true."""
        if self._writer is None or not self._waiting:
            return
        self._begin()
        for writer in (self._writer, *(other.writer for other in self._others)):
            writer.commit()
        for report in self._waiting:
            self._tally.take(report)
        self._waiting.clear()


class _Other:
    """Another encoder's store of the same videos, or of some of them."""

    def __init__(self, store: Store) -> None:
        self.writer = Writer(store)
        self._known = store.log.last()

    def take(self, place: Place) -> None:
        """What it holds at this place has these columns too."""
        word = self._known.place(place)
        if word is not None and word.word == "done" and word.columns != place.columns:
            self.writer.seen(Task(word.place, self._known.number), word.source, columns=place.columns)
