"""`--dry-run` tries it out: the same pipeline for some seconds, into a store that is thrown away."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core import lines, thumbs
from core.store import Store
from extractor.executors import Executor, inline, processes
from extractor.tally import Tally
from extractor.usage import cpu_s
from extractor.work import Encoded, Event, Job, Report, Work

_BESIDE = (thumbs.FILE, lines.FILE, "text.parquet")  # what shards hold beside vectors and times
_MOST_BEGINNING_S = 60.0  # until the first picture is done; only then the time counts
Units = Callable[[Tally], int]


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock and of processors, and what was done in them."""

    wall: float = 0.0
    cpu: float = 0.0
    units: int = 0

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.wall - other.wall, self.cpu - other.cpu, self.units - other.units)


@dataclass(frozen=True, slots=True)
class Probed:
    """What was done, and what it took: all of it, and without what the beginning takes once."""

    tally: Tally
    store: Store  # its folder is no more
    video_s: float  # of the videos that were finished
    total: Spent
    steady: Spent
    is_whole: bool  # everything that was given was done
    beside_bytes: int = 0  # of thumbnails and lines

    @property
    def once(self) -> Spent:
        return self.total - self.steady

    def expected(self, units: int) -> Spent:
        """What so many pictures, or texts, will take."""
        if self.is_whole and units <= self.total.units:
            return self.total
        of = self.steady if 2 * self.steady.units >= self.total.units else self.total
        if not of.units:
            return self.total
        once = self.total - of
        share = (units - once.units) / of.units
        return Spent(once.wall + share * of.wall, once.cpu + share * of.cpu, units)


def probe(job: Job, works: Iterable[Work], seconds: float, units: Units, stop: threading.Event) -> Probed:
    """Do these for so long from the first one on; an Error where `extract` would end with it."""
    with tempfile.TemporaryDirectory(prefix="cinedex-probe-") as folder:
        trial = _Trial(replace(job, store=Path(folder) / "store"), seconds, units)
        return trial.run(iter(works), stop)


class _Trial:
    def __init__(self, job: Job, seconds: float, units: Units) -> None:
        self._job, self._seconds, self._units = job, seconds, units
        self._tally = Tally()
        self._cpu_before = cpu_s()
        self._until = float("inf")
        self._first: Spent | None = None  # when the first units were done
        self._enough = threading.Event()
        self._is_dry = False
        self._video_s = 0.0

    def run(self, works: Iterator[Work], stop: threading.Event) -> Probed:
        executor: Executor = processes if self._job.workers else inline
        last: Spent | None = None
        for event in executor(self._job, self._job.device_of_each, self._feed(works), self._enough):
            self._take(event)
            is_late = isinstance(event, Encoded) and time.monotonic() > self._until  # all pictures are told
            if stop.is_set() or is_late:
                last = last or self._spent()
                self._enough.set()
        # What has ended can be asked no more; workers have told what they took.
        total = last or Spent(self._tally.seconds, self._tally.cpu, self._units(self._tally))
        store, is_whole = Store.open(self._job.store), self._is_dry and last is None
        steady = total - (self._first or Spent())
        return Probed(self._tally, store, self._video_s, total, steady, is_whole, _beside_bytes(store))

    def _feed(self, works: Iterator[Work]) -> Iterator[Work]:
        self._until = time.monotonic() + max(self._seconds, _MOST_BEGINNING_S)
        for work in works:
            if time.monotonic() > self._until:
                return
            yield work
        self._is_dry = True

    def _take(self, event: Event) -> None:
        self._tally.take(event)
        if isinstance(event, Report) and event.outcome == "done":
            self._video_s += event.seconds
        if self._first is None and self._units(self._tally):
            self._first = self._spent()
            self._until = time.monotonic() + self._seconds

    def _spent(self) -> Spent:
        return Spent(self._tally.seconds, cpu_s() - self._cpu_before, self._units(self._tally))


def _beside_bytes(store: Store) -> int:
    shards = (store.shard(name).path for name in store.log.last().shards())
    files = (shard / name for shard in shards for name in _BESIDE)
    return sum(file.stat().st_size for file in files if file.exists())
