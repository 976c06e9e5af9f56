"""Two ways to feed `pipeline.work`: in this process, or in processes whose end costs their open shard."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from core import logs
from core.errors import Error
from extractor.usage import cpu_s
from extractor.work import (
    Committed,
    Encoded,
    Event,
    Job,
    Key,
    Loaded,
    Lost,
    Patience,
    Report,
    Stalled,
    Work,
    how_ended,
    key_of,
)

_PARENTS = (signal.SIGINT, signal.SIGTERM)  # what ends a run is heard by the parent only
_LOOK_S = 0.2  # how soon the parent notices that it is to stop
_END_S = 10.0  # for a worker that was told to end
_STARTS = 3  # workers in a row that may end before they have begun
_ALIVE_S = 1.0  # how often a worker says that it is there
SILENT_S = 20.0  # an import on a busy machine may keep it from that

Executor = Callable[[Job, Sequence[str], Iterator[Work], threading.Event], Iterator[Event]]


@dataclass(frozen=True, slots=True)
class _Wants:
    """A worker's decoder is free."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """Take no more, finish the batch in hand, commit."""


@dataclass(frozen=True, slots=True)
class _Alive:
    """The interpreter runs, whatever the encoder is busy with."""


_Said = Loaded | Report | Encoded | Committed | Stalled | _Wants | _Alive | Error


def inline(job: Job, devices: Sequence[str], feed: Iterator[Work], stop: threading.Event) -> Iterator[Event]:
    """In this process: nothing is started, and a crash in a codec ends everything."""
    from extractor.pipeline import work

    open: dict[Key, Work] = {}
    held = _noted(feed, open)
    stalled: Stalled | None = Stalled(job.stall_s)
    while stalled:
        stalled = None
        for event in work(job, devices[0], held, stop):
            if isinstance(event, Stalled):
                stalled = event
                continue
            if isinstance(event, Report):
                open.pop(key_of(event.place), None)
            yield event
        if stalled:  # its thread stays behind, and ends with this process
            yield Lost(stalled.why, open=tuple(open.values()))
            open.clear()


def _noted(feed: Iterator[Work], open: dict[Key, Work]) -> Iterator[Work]:
    for work in feed:
        open[work.key] = work
        yield work


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
    open: dict[Key, Work] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)  # since its last commit
    reported: list[Work] = field(default_factory=list)
    heard: float = 0.0  # when it last said anything
    why: str = ""  # it had to be given up

    def lost(self) -> Lost:
        why = self.why or how_ended(self.process.exitcode)
        return Lost(why, tuple(self.reports), tuple(self.open.values()), tuple(self.reported))


class _Pool:
    """Who is at work. The parent only hands out and counts; the store is the truth."""

    def __init__(self, job: Job, feed: Iterator[Work], stop: threading.Event) -> None:
        self._job, self._feed, self._stop = job, feed, stop
        self._is_dry = False
        self._unbegun = 0  # ends before a beginning, in a row
        self._clock = Patience(1.0)
        self._workers: list[_Worker] = []

    def start(self, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        line, theirs = context.Pipe()
        process = context.Process(target=_child, args=(self._job, device, theirs))
        resource_tracker.ensure_running()  # which would unblock the signals on its way
        # Until the child ignores them: Ctrl-C reaches all of a terminal's processes, at any time.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._workers.append(_Worker(device, process, line, heard=self._clock.look()))

    def run(self) -> Iterator[Event]:
        is_told = False
        while self._workers:
            if self._stop.is_set() and not is_told:
                is_told = self._is_dry = True
                for worker in self._workers:
                    _send(worker.line, _Stop())
            ready = set(wait([worker.line for worker in self._workers], _LOOK_S))
            now = self._clock.look()
            for worker in [worker for worker in self._workers if worker.line in ready]:
                worker.heard = now
                yield from self._heard(worker)
            for worker in self._workers:
                self._give_up_if_silent(worker, now)

    def _give_up_if_silent(self, worker: _Worker, now: float) -> None:
        """What holds the interpreter's lock holds its whole process, which cannot say that it stalls."""
        silent = now - worker.heard
        if worker.is_ready and not worker.why and silent > max(2 * self._job.stall_s, SILENT_S):
            worker.why = f"said nothing for {silent:.0f} s"
            worker.process.kill()

    def _heard(self, worker: _Worker) -> Iterator[Event]:
        # A dead process closes its end of the line, which is then ready for ever: no message is lost.
        try:
            said: _Said = worker.line.recv()
        except (EOFError, OSError):
            yield from self._ended(worker)
            return
        match said:
            case _Wants():
                if not worker.is_ready:
                    worker.is_ready, self._unbegun = True, 0
                self._hand_out(worker)
            case Report():
                if work := worker.open.pop(key_of(said.place), None):
                    worker.reported.append(work)
                worker.reports.append(said)
                yield said
            case Loaded() | Encoded():
                yield said
            case Committed():
                worker.reports.clear()
                worker.reported.clear()
                yield said
            case Stalled():
                worker.why = said.why
            case Error():
                raise said

    def _hand_out(self, worker: _Worker) -> None:
        work = None if self._is_dry else next(self._feed, None)
        if work is None:
            self._is_dry = True
        else:
            worker.open[work.key] = work
        _send(worker.line, work)

    def _ended(self, worker: _Worker) -> Iterator[Event]:
        worker.process.join(_END_S)
        worker.line.close()
        self._workers.remove(worker)
        if worker.process.exitcode == 0:
            return
        lost = worker.lost()
        if not worker.is_ready:
            if self._stop.is_set():
                return
            self._unbegun += 1
            if self._unbegun == _STARTS:
                raise Error(f"A worker {lost.why} before it had begun.")
        else:
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


# Pickles, both ways: a worker opens no stranger's file itself, since a decoder's answers are plain values.
def _send(line: Connection, message: Work | _Stop | None) -> None:
    with suppress(OSError):  # its end is noticed where we listen
        line.send_bytes(pickle.dumps(message))


def _child(job: Job, device: str, line: Connection) -> None:
    """The whole life of a worker. The parent decides when it ends, and its end is the worker's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PARENTS)
    logs.set_up(job.log_format, job.log_level)
    stop = threading.Event()
    inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
    sending = threading.Lock()
    threading.Thread(target=_listen, args=(line, inbox, stop), daemon=True).start()

    def send(said: _Said) -> None:
        data = pickle.dumps(said)  # send looks up first what only it can pickle
        with sending:
            line.send_bytes(data)

    def stay_heard() -> None:
        while True:
            time.sleep(_ALIVE_S)
            with suppress(OSError):  # its end is noticed where we listen
                send(_Alive())

    def feed() -> Iterator[Work]:
        while not stop.is_set():
            send(_Wants())
            work = inbox.get()
            if work is None:
                return
            yield work

    threading.Thread(target=stay_heard, daemon=True).start()
    from extractor.pipeline import work

    used = 0.0
    try:
        for event in work(job, device, feed(), stop):
            if isinstance(event, Committed):
                used, before = cpu_s(), used
                event = replace(event, cpu=used - before)
            send(event)
            if isinstance(event, Stalled):
                os._exit(1)
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
