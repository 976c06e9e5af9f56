"""Threads that do what they are handed, in the order in which it comes."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Task = tuple[list[Callable[[], Any]], "Future[Any]"]  # one, or none any more


class Crew:
    """So many threads, each begun when it is first needed. They end when it is closed, at last with the crew,
    and are daemons: a process that is told to end waits for no work that hangs."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name, self._begun = size, name, 0
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._beginning = threading.Lock()
        weakref.finalize(self, _dismiss, self._tasks, size).atexit = False

    def hand(self, work: Callable[[], T]) -> Future[T]:
        """Done by the first thread that is free, in the context of who hands it; cancelled before, it is
        dropped with all that it holds."""
        done: Future[T] = Future()
        held: list[Callable[[], Any]] = [partial(copy_context().run, work)]
        done.add_done_callback(lambda _: held.clear())
        self._tasks.put((held, done))
        with self._beginning:
            if self._begun < self._size:
                self._begun += 1
                threading.Thread(target=_toil, args=(self._tasks,), name=self._name, daemon=True).start()
        return done

    def close(self) -> None:
        """Its threads end once they have done what they were handed; for more that comes, others begin."""
        with self._beginning:
            _dismiss(self._tasks, self._begun)
            self._begun = 0


def _dismiss(tasks: SimpleQueue[_Task | None], size: int) -> None:
    for _ in range(size):
        tasks.put(None)


def _toil(tasks: SimpleQueue[_Task | None]) -> None:
    while _is_done(tasks.get()):
        pass


def _is_done(task: _Task | None) -> bool:
    """A function of its own, so that a thread that waits holds on to nothing that it did."""
    if task is None:
        return False
    held, done = task
    if done.set_running_or_notify_cancel():
        try:
            done.set_result(held.pop()())
        except BaseException as error:  # a thread's edge: who handed it gets it
            done.set_exception(error)
    return True
