"""The passes over what is to do: to resume is to run again, and within one run too."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile

from core import files
from core.log import LastWords, Log, Task
from core.rules import Wish, why_not
from core.store import Store
from core.types import Place
from core.writer import Writer
from extractor.executors import Executor, inline, processes
from extractor.find import SETTLE_S, Settling
from extractor.hours import Pause
from extractor.prune import prune
from extractor.retag import Retags
from extractor.tally import Tally
from extractor.texts import TextListing, TextsFile, is_text
from extractor.videos import Looked, VideosTarget, look_at
from extractor.work import Committed, Event, Job, Left, Lost, Report, Work, size_of

PASSES = 3
_AHEAD = 100_000  # places that may be known to be to do before they are done
_AHEAD_S = 1.0  # how long the first one may wait for the others to be counted
# Why a file may be passed over in silence, unless the user named it.
_UNFIT = {"not_video": "it is no video", "still": "it is a still picture", "failed_before": ""}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `--videos` and `--texts` named."""

    videos: VideosTarget | None = None
    texts: TextsFile | None = None


@dataclass
class Round:
    """One round of an `extract`: iterate `events`, then perhaps `prune`."""

    job: Job
    wanted: Wanted
    tally: Tally
    stop: threading.Event
    begin: Callable[[], None] = lambda: None  # called once there is a store, and some place was listed
    pause: Pause = field(default_factory=Pause)
    ahead: Ahead = field(default_factory=lambda: Ahead((), Tally()))
    settle_s: float = SETTLE_S  # what changed within so many seconds may still be written
    looks_again: bool = False  # and is left for then
    is_later: bool = False  # than the first: what it finds as it was has been counted
    _videos: Looked | None = None
    _texts: TextListing | None = None

    def __post_init__(self) -> None:
        self._retags = Retags(self.job, self.tally, self._begin)

    def works(self) -> Iterator[Work]:
        """What the first pass would do; nothing is done, and what it would skip, or copy without decoding,
        is counted."""
        log, skipped = Log(self.job.store / "log"), Counter[str]()
        before = log.last() if self._has_store else LastWords()
        for task in self._todo(log, skipped):
            work = self._work(task, before)
            if task.source or work.source:  # only its columns are new, or what lies beside it
                self.tally.copies += 1
            else:
                yield work
        self._skipped(before, skipped)

    def events(self) -> Iterator[Event]:
        """Up to three passes, each over what the last one has left."""
        log = Log(self.job.store / "log")
        before = log.last() if self._has_store else LastWords()
        for number in range(PASSES):
            skipped: Counter[str] = Counter()
            self.ahead = Ahead(self._works(log, skipped, is_first=number == 0), self.tally)
            try:
                has_work = self.ahead.look()
                if number == 0 and not has_work and self._has_listed:
                    self._begin()
                if self.stop.is_set() or not has_work:
                    break
                files.require_temporary()  # before an encoder is loaded for nothing
                files.require_writable(self.job.store)
                yield from self._pass(is_last=self.job.again or number == PASSES - 1)
            finally:
                self._retags.commit()
                if number == 0:
                    self._skipped(before, skipped.copy())
        if self.tally.lost and not self.stop.is_set():
            yield from self._settled(log, before.number)

    def _begin(self) -> None:
        begin, self.begin = self.begin, lambda: None
        begin()

    def _pass(self, *, is_last: bool) -> Iterator[Event]:
        executor: Executor = processes if self.job.workers else inline
        job = replace(self.job, careful=bool(self.tally.lost))
        # After a pause all is started anew: while it lasts nothing is held, no model and no GPU.
        while self.ahead.look() and not self.stop.is_set():
            yield from self._paused()
            if self.stop.is_set():
                return
            works = self.pause.within(self.ahead, is_last=is_last)
            for event in executor(job, job.device_of_each, works, self.stop):
                self._begin()
                self.tally.take(event)
                yield event
                if isinstance(event, Lost) and job.careful:
                    yield from self._blamed(event)

    def _paused(self) -> Iterator[Event]:
        started = time.monotonic()
        yield from self.pause.wait(self.stop)
        self.tally.paused += time.monotonic() - started

    @property
    def _has_store(self) -> bool:
        return (self.job.store / "store.json").exists()

    def _works(self, log: Log, skipped: Counter[str], *, is_first: bool) -> Iterator[Work]:
        known = log.last() if self._has_store else LastWords()
        for task in self._todo(log, skipped):
            if task.source:
                self._retags.take(task)
            elif is_first or self._is_left(task.place):
                yield self._work(task, known)

    def _todo(self, log: Log, skipped: Counter[str]) -> Iterator[Task]:
        job, wanted = self.job, self.wanted
        settling = Settling(self.stop, self.settle_s, waits=not self.looks_again)
        self._videos = look_at(wanted.videos, self.stop, settling) if wanted.videos else None
        self._texts = TextListing(wanted.texts) if wanted.texts else None
        found = takewhile(lambda _: not self.stop.is_set(), chain(self._videos or (), self._texts or ()))
        if self._has_store:
            yield from log.todo(
                lambda: found, again=job.again, retry_failed=job.retry_failed, skipped=skipped
            )
        else:
            yield from (Task(place, 0) for place in found)

    def _is_left(self, place: Place) -> bool:
        if self.tally.is_settled(place):
            return False
        return not self.job.again or (place.root, place.path) in self.tally.lost

    def _work(self, task: Task, known: LastWords) -> Work:
        if self._texts and is_text(task.place):
            return Work(task, text=self._texts.texts[task.place.path].text, columns=task.place.columns)
        assert self._videos is not None
        source = "" if self.job.again else _unchanged(known, task.place)
        return replace(self._videos.work(task), source=source)

    def _skipped(self, known: LastWords, skipped: Counter[str]) -> None:
        """What was not to do, and what could not be listed."""
        listing = self._videos
        if listing and listing.named and (word := known.place(listing.named)):
            why = why_not(known, listing.named, Wish(self.job.again, self.job.retry_failed))
            if why in _UNFIT and skipped[why]:
                self.tally.fail(listing.named, _UNFIT[why] or word.error)
                skipped[why] -= 1
        if not self.is_later:
            self.tally.skipped += skipped
        if listing:
            if not self.is_later:
                self.tally.skipped += Counter(not_video=listing.not_video)
            self.tally.skipped["unstable"] = listing.unstable
            for place, error in listing.failed:
                self.tally.fail(place, error)

    @property
    def _has_listed(self) -> bool:
        return any(listing.listed for listing in (self._videos, self._texts) if listing is not None)

    def _blamed(self, lost: Lost) -> Iterator[Event]:
        """Alone in hand when its worker ended, or when its rows were being written: it is the one."""
        writer = Writer(Store.open(self.job.store))
        known = writer.store.log.last()
        for work in lost.open or lost.reported:
            report = _told(known, work.place, work.task.since)
            if report is None:
                report = Report(work.place, "failed", error=f"its worker {lost.why}")
                writer.failed(work.task, report.error)
            self.tally.take(report)
            yield report
        yield Committed(writer.commit())

    def _settled(self, log: Log, since: int) -> Iterator[Event]:
        """Lost in every pass, or a commit that nobody heard of: the log knows which."""
        known = log.last() if self._has_store else LastWords()
        for place in list(self.tally.lost.values()):
            report = _told(known, place, since)
            report = report or Report(place, "failed", error="its worker ended each time")
            self.tally.take(report)
            yield report

    @property
    def links_out(self) -> int:
        """Links that the last pass did not follow."""
        return self._videos.links_out if self._videos else 0

    @property
    def has_listed_videos(self) -> bool:
        """Whether the last pass met any file that might be a video, or could not look."""
        held = self._videos
        return held is None or bool(held.listed or held.unstable or list(held.failed))

    def prune(self, *, force: bool) -> None:
        """Say `gone` of what the last pass would have met if it were still there."""
        listings = [listing for listing in (self._videos, self._texts) if listing is not None]
        self.tally.gone += prune(Store.open(self.job.store), listings, force=force)


def _unchanged(known: LastWords, place: Place) -> str:
    """The content of a place of which only what lies beside it has changed, or ""."""
    word = known.place(place)
    if word is None or word.word != "done" or word.stamp != place.stamp:
        return ""
    return word.source if known.has_rows(word.source) or known.is_removed(word.source) else ""


def _told(known: LastWords, place: Place, since: int) -> Report | None:
    """What the log has heard of a place since then: a worker may end between a commit and its report."""
    word = known.place(place)
    if word is None or word.stamp != place.stamp or known.entry_of(place.root, place.path) <= since:
        return None
    match word.word:
        case "done":
            return Report(place, "done", word.source)
        case "failed" | "skipped":
            return Report(place, word.word, word.source, error=word.error)
    return None


class Ahead:
    """What is to do, counted a while before it is handed out."""

    def __init__(self, works: Iterable[Work], tally: Tally) -> None:
        self._works, self._tally = iter(works), tally
        self._held: deque[Work] = deque()
        self._is_dry = False
        self._bytes = tally.bytes  # of all that was finished before, and of all that was met here
        self._lost_before = frozenset(tally.lost)

    def look(self) -> bool:
        """Look a moment ahead; whether there is anything to do."""
        until = time.monotonic() + _AHEAD_S
        while self._pull() and len(self._held) < _AHEAD and time.monotonic() < until:
            pass
        return bool(self._held)

    def left(self) -> Left:
        """What is known to be to do; of bytes also what is in hand."""
        lost = len(self._tally.lost.keys() - self._lost_before)  # since: they come again in the next pass
        return Left(len(self._held) + lost, max(0, self._bytes - self._tally.bytes), self._is_dry)

    def __iter__(self) -> Iterator[Work]:
        return self

    def __next__(self) -> Work:
        # Two for each that leaves: the end of the list comes nearer while work goes on.
        for _ in range(2):
            if len(self._held) < _AHEAD:
                self._pull()
        if not self._held:
            raise StopIteration
        return self._held.popleft()

    def _pull(self) -> bool:
        if self._is_dry:
            return False
        work = next(self._works, None)
        if work is None:
            self._is_dry = True
            return False
        self._held.append(work)
        self._bytes += size_of(work.place)
        return True
