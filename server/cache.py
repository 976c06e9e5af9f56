"""Vectors of texts that were asked for lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from core.types import Float32Array

_OVERHEAD = 400  # bytes that Python needs around a vector and its text


@dataclass(frozen=True, slots=True)
class TextVector:
    """A text as an encoder has it: float32 [dim], and whether it was longer than is read."""

    vector: Float32Array
    is_cut: bool


Key = tuple[str, str]  # an encoder's fingerprint, and a text


class VectorCache:
    """The latest, in at most so many bytes. Any thread may ask."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._held: OrderedDict[Key, TextVector] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> TextVector | None:
        """What is held of it, which becomes the latest."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: Key, encoded: TextVector) -> None:
        """Hold it, and forget what was unused longest."""
        if _size(key, encoded) > self._most:
            return
        with self._lock:
            if (before := self._held.pop(key, None)) is not None:
                self._bytes -= _size(key, before)
            self._held[key] = encoded
            self._bytes += _size(key, encoded)
            while self._bytes > self._most:
                self._bytes -= _size(*self._held.popitem(last=False))


def _size(key: Key, encoded: TextVector) -> int:
    return encoded.vector.nbytes + 4 * len(key[1]) + _OVERHEAD
