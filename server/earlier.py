"""Snapshots of a store that were published before: whoever pages through one is answered from it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from core.errors import Error, SnapshotError
from core.log import LastWords
from core.store import Store
from index.snapshot import Snapshot, folder_of
from index.view import removed_since
from server.errors import ApiError

KEPT = 4  # at once: each holds its sources in memory, and its files on the disk
IDLE_S = 600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    base: Snapshot
    view: Snapshot
    words: LastWords
    used: float  # by time.monotonic()


class Earlier:
    """A few of them, opened once and kept for a while. What was removed since is in none."""

    def __init__(self, store: Store, device: str) -> None:
        self._store, self._device = store, device
        self._lock = threading.Lock()
        self._words: LastWords | None = None
        self._kept: dict[int, _Kept] = {}  # in the order of use

    def heed(self, words: LastWords) -> None:
        """From now on without what these say was removed; and let go what nobody asks for."""
        with self._lock:
            self._words = words
            since = time.monotonic() - IDLE_S
            self._kept = {number: kept for number, kept in self._kept.items() if kept.used > since}

    def view(self, number: int, seal: str, now: Snapshot) -> Snapshot:
        """The one of that number and hash, or an ApiError. now: what is published, whose parts it shares."""
        with self._lock:  # also while one is opened: others that want it wait for it
            kept = self._kept.pop(number, None)
            if kept is None or kept.base.seal != seal:
                kept = self._opened(number, seal, now)
            words = self._words or kept.words
            if words is not kept.words:
                kept = replace(kept, view=_less(kept.base, words), words=words)
            self._kept[number] = replace(kept, used=time.monotonic())
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            return kept.view

    def _opened(self, number: int, seal: str, now: Snapshot) -> _Kept:
        folder = folder_of(self._store.root, number)
        if not folder.is_dir():
            raise gone(number)
        try:
            base = Snapshot.open(self._store, number, now)
        except (Error, OSError) as error:
            if not folder.is_dir():  # meanwhile
                raise gone(number) from error
            raise SnapshotError(f"{folder} cannot be opened: {error}") from error
        if base.seal != seal:
            raise gone(number)
        base = base.on(self._device, now)
        words = self._words or self._store.log.last()
        return _Kept(base, _less(base, words), words, time.monotonic())


def _less(base: Snapshot, words: LastWords) -> Snapshot:
    return base.masked(removed_since(words, base.entry))


def gone(number: int) -> ApiError:
    """What is answered where a cursor names what is no longer there."""
    return ApiError(410, f"cursor: snapshot {number} is no longer kept; search again.", "cursor")
