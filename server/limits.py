"""So many requests at once, so many waiting; the next one is told at once to come again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import to_thread

from server.errors import ApiError

T = TypeVar("T")


class Slots:
    """Worker threads behind one limiter."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._limiter = anyio.CapacityLimiter(at_once)
        self._waiting = waiting

    async def run(
        self, work: Callable[[], T], waited: Callable[[float], None], *, goes_on: bool = False
    ) -> T:
        """Do it in a thread; `waited` is told for how many seconds no thread was free. goes_on: for a request
        that was let in before, and so is not refused."""
        limiter = self._limiter
        is_full = limiter.available_tokens <= 0 and limiter.statistics().tasks_waiting >= self._waiting
        if is_full and not goes_on:
            raise ApiError(429, f"All {limiter.total_tokens:g} slots and {self._waiting} places are taken.")
        asked = time.perf_counter()

        def begin() -> T:
            waited(time.perf_counter() - asked)
            return work()

        return await to_thread.run_sync(begin, limiter=limiter)


def cpus() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
