"""The passes over what is to do: to resume is to run again, and within one run too."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from core.log import Log, Task
from core.store import Store
from core.types import Place
from core.writer import Writer
from extractor.executors import Executor, inline, processes
from extractor.find import Listing, Target
from extractor.prune import prune
from extractor.tally import Tally
from extractor.texts import Text, TextListing, TextsFile, is_text
from extractor.work import Committed, Event, Job, Lost, Report, Work

PASSES = 3
_AHEAD = 100_000  # places that may be known to be to do before they are done
_AHEAD_S = 1.0  # how long the first one may wait for the others to be counted
# Why a file may be passed over in silence, unless the user named it.
_UNFIT = {"not_video": "it is no video", "still": "it is a still picture", "failed_before": ""}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `--videos` and `--texts` named."""

    videos: Target | None = None
    texts: TextsFile | None = None


@dataclass
class Run:
    """One `extract`: iterate `events`, then perhaps `prune`."""

    job: Job
    wanted: Wanted
    tally: Tally
    stop: threading.Event
    begin: Callable[[], None] = lambda: None  # called once some place was listed
    ahead: Ahead = field(default_factory=lambda: Ahead(()))
    _videos: Listing | None = None
    _texts: TextListing | None = None

    def events(self) -> Iterator[Event]:
        """Up to three passes, each over what the last one has left."""
        executor: Executor = processes if self.job.workers else inline
        devices = [self.job.device] * max(1, self.job.workers)
        log = Log(self.job.store / "log")
        for number in range(PASSES):
            self.ahead = Ahead(self._works(log, is_first=number == 0))
            has_work = self.ahead.look()
            if number == 0 and (has_work or self._has_listed):
                self.begin()
            if self.stop.is_set() or not has_work:
                return
            job = replace(self.job, careful=bool(self.tally.lost))
            for event in executor(job, devices, self.ahead, self.stop):
                self.tally.take(event)
                yield event
                if isinstance(event, Lost) and job.careful:
                    yield from self._blamed(event)

    def _works(self, log: Log, *, is_first: bool) -> Iterator[Work]:
        skipped: Counter[str] = Counter()
        try:
            for task in self._todo(log, self._find(), skipped):
                if is_first or self._is_left(task.place):
                    yield self._work(task)
        finally:
            if is_first:
                self._skipped(log, skipped)

    def _todo(self, log: Log, find: Callable[[], Iterable[Place]], skipped: Counter[str]) -> Iterator[Task]:
        job = self.job
        if not (job.store / "store.json").exists():
            return (Task(place, 0) for place in find())
        return log.todo(find, again=job.again, retry_failed=job.retry_failed, skipped=skipped)

    def _find(self) -> Callable[[], Iterable[Place]]:
        self._videos = Listing(self.wanted.videos) if self.wanted.videos else None
        self._texts = TextListing(self.wanted.texts) if self.wanted.texts else None
        return lambda: chain(self._videos or (), self._texts or ())

    def _is_left(self, place: Place) -> bool:
        if self.tally.is_settled(place):
            return False
        return not self.job.again or (place.root, place.path) in self.tally.lost

    def _work(self, task: Task) -> Work:
        held = self._text_of(task.place)
        if held is not None:
            return Work(task, text=held.text, columns=held.columns)
        target = self.wanted.videos
        assert target is not None
        return Work(task, file=target.file(task.place), named=target.kind == "file")

    def _text_of(self, place: Place) -> Text | None:
        texts = self._texts
        return texts.texts.get(place.path) if texts and is_text(place) else None

    def _skipped(self, log: Log, skipped: Counter[str]) -> None:
        """What was not to do, and what could not be listed."""
        target, listing = self.wanted.videos, self._videos
        if target and target.kind == "file" and (why := next(iter(skipped), "")) in _UNFIT:
            place = Place(target.root, target.below)
            word = log.last().place(place)
            self.tally.fail(place, _UNFIT[why] or (word.error if word else ""))
            skipped.clear()
        self.tally.skipped += skipped
        if listing:
            self.tally.skipped += Counter(not_video=listing.not_video, unstable=listing.unstable)
            for path, error in listing.errors.items():
                self.tally.fail(Place(listing.target.root, path), error)

    @property
    def _has_listed(self) -> bool:
        return any(listing.listed for listing in (self._videos, self._texts) if listing is not None)

    def _blamed(self, lost: Lost) -> Iterator[Event]:
        """Alone in hand when its worker ended: it is the one."""
        writer = Writer(Store.open(self.job.store))
        for work in lost.open:
            error = f"its worker {lost.why}"
            writer.failed(work.task, error)
            report = Report(work.place, "failed", error=error)
            self.tally.take(report)
            yield report
        yield Committed(writer.commit())

    @property
    def links_out(self) -> int:
        """Links that the last pass did not follow."""
        return self._videos.links_out if self._videos else 0

    @property
    def has_listed_videos(self) -> bool:
        """Whether the last pass met any file that might be a video, or could not look."""
        held = self._videos
        return held is None or bool(held.listed or held.errors or held.unstable)

    def prune(self, *, force: bool) -> None:
        """Say `gone` of what the last pass would have met if it were still there."""
        listings = [listing for listing in (self._videos, self._texts) if listing is not None]
        self.tally.gone += prune(Store.open(self.job.store), listings, force=force)


class Ahead:
    """What is to do, counted a while before it is handed out."""

    def __init__(self, works: Iterable[Work]) -> None:
        self._works = iter(works)
        self._held: deque[Work] = deque()
        self._is_dry = False

    def look(self) -> bool:
        """Look a moment ahead; whether there is anything to do."""
        until = time.monotonic() + _AHEAD_S
        while self._pull() and len(self._held) < _AHEAD and time.monotonic() < until:
            pass
        return bool(self._held)

    def left(self) -> tuple[int, bool]:
        """How many places are known to be to do, and whether these are all."""
        return len(self._held), self._is_dry

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
        return True
