"""Two ways to feed `pipeline.work`: in this process, or in processes whose end costs their open shard."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from core import logs
from core.errors import Error
from extractor.work import Committed, Encoded, Event, Job, Lost, Report, Work

log = logging.getLogger(__name__)
_LOOK_S = 0.2  # how soon the parent notices that it is to stop
_END_S = 10.0  # for a worker that was told to end

Executor = Callable[[Job, Sequence[str], Iterator[Work], threading.Event], Iterator[Event]]


@dataclass(frozen=True, slots=True)
class _Wants:
    """A worker's decoder is free."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """Take no more, finish the batch in hand, commit."""


_Said = Report | Encoded | Committed | _Wants | Error


def inline(job: Job, devices: Sequence[str], feed: Iterator[Work], stop: threading.Event) -> Iterator[Event]:
    """In this process: nothing is started, and a crash in a codec ends everything."""
    from extractor.pipeline import work

    yield from work(job, devices[0], feed, stop)


def processes(
    job: Job, devices: Sequence[str], feed: Iterator[Work], stop: threading.Event
) -> Iterator[Event]:
    """A spawned process for each device; places go out one at a time, so a fast one takes more."""
    pool = _Pool(job, feed, stop)
    try:
        for device in devices:
            pool.start(device)
        yield from pool.run()
    finally:
        pool.close()


@dataclass
class _Worker:
    """One process, seen from here."""

    device: str
    process: BaseProcess
    line: Connection
    is_ready: bool = False
    open: dict[tuple[str, bytes], Work] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)  # since its last commit

    def lost(self) -> Lost:
        return Lost(_how(self.process.exitcode), tuple(self.reports), tuple(self.open.values()))


class _Pool:
    """Who is at work. The parent only hands out and counts; the store is the truth."""

    def __init__(self, job: Job, feed: Iterator[Work], stop: threading.Event) -> None:
        self._job, self._feed, self._stop = job, feed, stop
        self._is_dry = False
        self._workers: list[_Worker] = []

    def start(self, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        line, theirs = context.Pipe()
        process = context.Process(target=_child, args=(self._job, device, theirs))
        process.start()
        theirs.close()
        self._workers.append(_Worker(device, process, line))

    def run(self) -> Iterator[Event]:
        is_told = False
        while self._workers:
            if self._stop.is_set() and not is_told:
                is_told = self._is_dry = True
                for worker in self._workers:
                    _send(worker.line, _Stop())
            ready = set(wait([worker.line for worker in self._workers], _LOOK_S))
            for worker in [worker for worker in self._workers if worker.line in ready]:
                yield from self._heard(worker)

    def _heard(self, worker: _Worker) -> Iterator[Event]:
        # A dead process closes its end of the line, which is then ready for ever: no message is lost.
        try:
            said: _Said = worker.line.recv()
        except (EOFError, OSError):
            yield from self._ended(worker)
            return
        match said:
            case _Wants():
                worker.is_ready = True
                self._hand_out(worker)
            case Report():
                worker.open.pop((said.place.root, said.place.path), None)
                worker.reports.append(said)
                yield said
            case Encoded():
                yield said
            case Committed():
                worker.reports.clear()
                yield said
            case Error():
                raise said

    def _hand_out(self, worker: _Worker) -> None:
        work = None if self._is_dry else next(self._feed, None)
        if work is None:
            self._is_dry = True
        else:
            worker.open[work.place.root, work.place.path] = work
        _send(worker.line, work)

    def _ended(self, worker: _Worker) -> Iterator[Event]:
        worker.process.join(_END_S)
        worker.line.close()
        self._workers.remove(worker)
        if worker.process.exitcode == 0:
            return
        lost = worker.lost()
        if not worker.is_ready:
            raise Error(f"A worker {lost.why} before it had begun.")
        log.warning("a worker %s lost=%d", lost.why, len(lost.reports) + len(lost.open))
        yield lost
        if not self._is_dry:
            self.start(worker.device)

    def close(self) -> None:
        """Whoever is still there loses the line, and ends by that."""
        for worker in self._workers:
            worker.line.close()
        for worker in self._workers:
            worker.process.join(_END_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _send(line: Connection, message: Work | _Stop | None) -> None:
    with suppress(OSError):  # its end is noticed where we listen
        line.send(message)


def _child(job: Job, device: str, line: Connection) -> None:
    """The whole life of a worker. The parent decides when it ends, and its end is the worker's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.set_up(job.log_format, job.log_level)
    stop = threading.Event()
    inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
    sending = threading.Lock()
    threading.Thread(target=_listen, args=(line, inbox, stop), daemon=True).start()

    def send(said: _Said) -> None:
        with sending:
            line.send(said)

    def feed() -> Iterator[Work]:
        while not stop.is_set():
            send(_Wants())
            work = inbox.get()
            if work is None:
                return
            yield work

    from extractor.pipeline import work

    try:
        for event in work(job, device, feed(), stop):
            assert not isinstance(event, Lost)
            send(event)
    except Error as error:
        send(error)
    except BrokenPipeError:
        os._exit(1)


def _listen(line: Connection, inbox: queue.SimpleQueue[Work | None], stop: threading.Event) -> None:
    while True:
        try:
            message = line.recv()
        except (EOFError, OSError):
            os._exit(1)  # the parent is gone
        if isinstance(message, _Stop):
            stop.set()
            inbox.put(None)
        else:
            inbox.put(message)
