"""Clips that were cut a short while ago: files without a name, so that nothing is left of them in the end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from weakref import WeakValueDictionary

from server import temporary

_MOST = 64  # files that are open


@dataclass(frozen=True, slots=True)
class OpenClip:
    """An MP4 to be sent. Who gets it closes it."""

    file: FileIO

    @property
    def descriptor(self) -> int:
        return self.file.fileno()

    def fits(self) -> bool:
        """Nobody else can write into it."""
        return True

    def close(self) -> None:
        self.file.close()


class Clips:
    """The clips asked for last, so that a player's next ranges cut nothing again."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[str, FileIO] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: str) -> OpenClip | None:
        """One that is there."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            self._held.move_to_end(key)
            return _again(held)

    def turn(self, key: str) -> asyncio.Lock:
        """Held by who makes one: others who ask for the same wait for it, and for that need no thread."""
        return self._turns.setdefault(key, asyncio.Lock())

    def made(self, key: str, make: Callable[[Path], None]) -> OpenClip:
        """One that is there, or that `make` writes."""
        return self.get(key) or self._keep(key, _made(make))

    def _keep(self, key: str, file: FileIO) -> OpenClip:
        with self._lock:
            if key in self._held:  # who made it first has left, and went on until now
                self._held.pop(key).close()
            self._held[key] = file
            found = _again(file)
            while len(self._held) > 1 and (len(self._held) > _MOST or self._bytes() > self._most_bytes):
                self._held.popitem(last=False)[1].close()
        return found

    def _bytes(self) -> int:
        return sum(os.fstat(file.fileno()).st_size for file in self._held.values())

    def close(self) -> None:
        """Let all of them go."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].close()


def _again(file: FileIO) -> OpenClip:
    return OpenClip(FileIO(os.dup(file.fileno())))


def _made(make: Callable[[Path], None]) -> FileIO:
    """It has a name only while it is written."""
    with temporary.folder() as folder:
        path = folder / "clip.mp4"
        make(path)
        return FileIO(path)
