"""`cinedex serve --workers N`: processes that answer on one socket, and the one that looks after them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess

from prometheus_client.multiprocess import mark_process_dead

from core.errors import Error
from core.stop import Stop, stopping
from server import temporary
from server.encoders import Retry

log = logging.getLogger(__name__)
FIGURES = "PROMETHEUS_MULTIPROC_DIR"  # where workers add up theirs; heeded when prometheus_client is imported
FINISH_S = 30  # for what was taken, once a worker is told to end
STEADY_S = 60.0  # who has lived as long did not fail on its way
_SPARE_S = 5.0  # to end in, beside that
_LOOK_S = 0.1
_PARENTS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
Work = Callable[[socket.socket, bool], None]  # answers until SIGTERM; True: also while it loads


def supervise(work: Work, listening: socket.socket, count: int, said: Callable[[], None]) -> int:
    """Keep so many at work until SIGTERM or Ctrl-C, then let them finish what they took; what to exit with.
    said: called once a signal is heeded.

    Of the workers only the first one answers while it loads, and tells so; the others, and whoever takes the
    place of one, take requests once they can answer them.
    """
    with stopping(signal.SIGHUP) as stop, _figures() as folder:
        said()
        workers = [_Worker(work, listening, folder) for _ in range(count)]
        for number, worker in enumerate(workers):
            worker.begin(is_first=number == 0)
        _look_after(workers, stop)
        listening.close()
        _end([worker.process for worker in workers])
        return 130 if stop.by == signal.SIGINT else 0


def _look_after(workers: Sequence[_Worker], stop: Stop) -> None:
    while not stop.is_set():
        connection.wait([worker.process.sentinel for worker in workers if worker.is_alive], _LOOK_S)
        for worker in workers:
            if not worker.is_alive and not stop.is_set():
                worker.mend()


class _Worker:
    """One place, and the process that fills it."""

    process: BaseProcess

    def __init__(self, work: Work, listening: socket.socket, figures: str) -> None:
        self._work, self._listening, self._figures = work, listening, figures
        self._patience = Retry()
        self._begun, self._is_mourned = 0.0, False

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    def begin(self, is_first: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=_child, args=(self._work, self._listening, is_first))
        resource_tracker.ensure_running()  # which would unblock the signals on its way
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)  # until the child has its own handlers
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._begun, self._is_mourned = time.monotonic(), False

    def mend(self) -> None:
        """Another one in place of one that has ended, after 1, 2, 4 … 60 seconds where they do not last."""
        if not self._is_mourned:
            self._is_mourned = True
            mark_process_dead(self.process.pid, self._figures)  # type: ignore[no-untyped-call]
            if time.monotonic() - self._begun >= STEADY_S:
                self._patience.reset()
            why = f"process {self.process.pid} ended with exit code {self.process.exitcode}."
            self._patience.fail("worker ended", Error(why))
        if self._patience.is_over():
            self.begin(is_first=False)


def _end(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + FINISH_S + _SPARE_S
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            log.error("worker does not end pid=%s", process.pid)
            process.kill()
            process.join()


@contextmanager
def _figures() -> Iterator[str]:
    """A folder for the metrics of all workers, in the environment that they are born with."""
    with temporary.folder() as folder:
        os.environ[FIGURES] = str(folder)
        try:
            yield str(folder)
        finally:
            del os.environ[FIGURES]


def _child(work: Work, listening: socket.socket, is_first: bool) -> None:
    """The whole life of a worker; it ends as its parent does, if not before."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    for of_terminal in (signal.SIGINT, signal.SIGHUP):  # which the parent hands on as SIGTERM
        signal.signal(of_terminal, signal.SIG_IGN)

    def follow() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
    work(listening, is_first)


def unblock() -> None:
    """For a worker that has its handlers: the signals that its parent held back until then."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PARENTS)
