"""What waits for the encoder."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

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
