"""What was asked for lately, within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by their keys, which weigh at most so much in all: what was not asked for longest goes first.
    Any thread may ask."""

    def __init__(self, most: int, weight: Callable[[Key, Value], int] = lambda key, value: 1) -> None:
        self._most, self._weight, self._weighs = most, weight, 0
        self._held: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """What is held of it, which becomes the latest."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: Key, value: Value) -> None:
        """In place of what is held of it; not what weighs more than all may."""
        weighs = self._weight(key, value)
        with self._lock:
            if (before := self._held.pop(key, None)) is not None:
                self._weighs -= self._weight(key, before)
            if weighs > self._most:
                return
            self._held[key] = value
            self._weighs += weighs
            while self._weighs > self._most:
                self._weighs -= self._weight(*self._held.popitem(last=False))
