"""What waits for the encoder, and how many cores it is worked off with."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class Stock(Generic[T]):
    """A bounded queue. Once it is full, it takes no more until half of it is gone: decoders rest so long
    that their cores are of use to the encoder meanwhile."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: deque[T] = deque()
        self._lock = threading.RLock()
        self._some, self._room = threading.Condition(self._lock), threading.Condition(self._lock)
        self._is_full = False

    def put(self, item: T, seconds: float) -> bool:
        """Whether there was room for it within that time."""
        with self._lock:
            if self._is_full and not self._room.wait_for(lambda: not self._is_full, seconds):
                return False
            self._held.append(item)
            self._is_full = len(self._held) >= self._most
            self._some.notify()
            return True

    def get(self, seconds: float) -> T | None:
        """The next one, if there is one within that time."""
        with self._lock:
            if not self._held and not self._some.wait_for(lambda: bool(self._held), seconds):
                return None
            item = self._held.popleft()
            if self._is_full and len(self._held) <= self._most // 2:
                self._is_full = False
                self._room.notify_all()
            return item


class Cores:
    """Those that no decoder is busy on are the encoder's; one always is. A thread that waits for a core
    lets all others spin."""

    def __init__(self, most: int) -> None:
        """0: torch's threads stay as they are."""
        self._most, self._now = most, torch.get_num_threads()

    def leave(self, busy: int) -> None:
        """Leave so many to decoders."""
        threads = max(1, self._most - busy)
        if self._most and threads != self._now:
            torch.set_num_threads(threads)
            self._now = threads


def allowed(cores: int) -> int:
    """So many, but no more than the user has told torch, as by OMP_NUM_THREADS; 0 stays."""
    return min(cores, torch.get_num_threads())
