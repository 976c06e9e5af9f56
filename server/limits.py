"""So many requests at once, so many waiting; the next one is told at once to come again."""

from __future__ import annotations

import threading
import time
from asyncio import CancelledError, wrap_future
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from core.cpus import usable_cpus
from core.stop import until_set
from server.crew import Crew
from server.errors import ApiError

T = TypeVar("T")


def nobody(_: object) -> None:
    """Hears what it is told, and does nothing."""
    return None


class Slots:
    """Threads that answer, and places for requests: those that a thread works for, and those that wait for
    one or for what they need first."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once, self._waiting = at_once, waiting
        self._crew = Crew(at_once, "answer")
        self._taken, self._counting = 0, threading.Lock()
        self._watch: Callable[[float], None] = nobody

    @property
    def crew(self) -> Crew:
        """The threads, for what needs no place."""
        return self._crew

    def close(self) -> None:
        """Let idle threads end."""
        self._crew.close()

    def watch(self, changed: Callable[[float], None]) -> None:
        """Who is told by how much the number of places that are taken changes."""
        self._watch = changed

    def refusal(self) -> ApiError | None:
        """Of whoever comes now; None while there is a place."""
        if self._taken < self._at_once + self._waiting:
            return None
        return ApiError(429, f"All {self._at_once} slots and {self._waiting} places are taken.")

    @contextmanager
    def place(self, goes_on: bool = False) -> Iterator[None]:
        """Taken from here on, or 429. goes_on: for who was let in before, and so is not refused."""
        if not goes_on and (refusal := self.refusal()):
            raise refusal
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        with self._counting:
            self._taken += by
        self._watch(by)

    async def run(
        self, work: Callable[[], T], waited: Callable[[float], None], *, goes_on: bool = False
    ) -> T:
        """Do it in a thread; `waited` is told for how many seconds no thread was free. goes_on: for a request
        that was let in before, and so is not refused."""
        with self.place(goes_on):
            return await self.work(work, waited)

    async def work(self, work: Callable[[], T], waited: Callable[[float], None]) -> T:
        """The same for who has a place. Cancelled, it is not begun; what runs goes on to where it looks
        whether it is wanted, and keeps its thread and a place until then."""
        asked, unwanted, context = time.perf_counter(), threading.Event(), copy_context()

        def begin() -> T:
            waited(time.perf_counter() - asked)
            return work()

        context.run(until_set, unwanted)
        done = self._crew.hand(partial(context.run, begin))
        try:
            return await wrap_future(done)
        except CancelledError:
            unwanted.set()
            if not done.cancel():
                self._change(1)
                done.add_done_callback(lambda _: self._change(-1))
            raise


def cpus(processes: int = 1) -> int:
    """The CPUs that this process may use, if others like it share them: one at least."""
    return max(1, usable_cpus() // max(1, processes))
