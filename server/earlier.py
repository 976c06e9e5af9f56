"""Snapshots of a store that were published before: whoever pages through one is answered from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar
from weakref import WeakValueDictionary

from core.errors import Error, SnapshotError
from core.log import LastWords
from core.store import Store
from index.snapshot import Snapshot, folder_of, read_manifest, seal_of
from index.view import removed_since
from server.errors import ApiError

T = TypeVar("T")
KEPT = 4  # at once: each holds its sources in memory, and its files on the disk
IDLE_S = 600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    base: Snapshot
    view: Snapshot
    words: LastWords
    used: float  # by time.monotonic()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Opening:
    """Of one number: who opens it, and who waits for that."""

    lock: threading.Lock = field(default_factory=threading.Lock)


class Earlier:
    """A few of them, opened once and kept for a while. What was removed since is in none."""

    def __init__(self, store: Store, device: str) -> None:
        self._store, self._device = store, device
        self._lock = threading.Lock()  # never held for long: `heed` is called while all stores are followed
        self._opening: WeakValueDictionary[int, _Opening] = WeakValueDictionary()
        self._words: LastWords | None = None
        self._kept: dict[int, _Kept] = {}  # in the order of use

    def heed(self, words: LastWords) -> None:
        """From now on without what these say was removed; and let go what nobody asks for."""
        with self._lock:
            self._words = words
            since = time.monotonic() - IDLE_S
            self._kept = {number: kept for number, kept in self._kept.items() if kept.used > since}

    def has(self, number: int, seal: str) -> bool:
        """Whether the one of that number and hash is there."""
        if self._held(number, seal) is not None:
            return True
        try:
            return seal_of(read_manifest(folder_of(self._store.root, number))) == seal
        except (Error, OSError):
            return False

    def view(self, number: int, seal: str, now: Snapshot) -> Snapshot:
        """The one of that number and hash, or an ApiError. now: what is published, whose parts it shares."""
        kept = self._held(number, seal)
        if kept is None:
            self._require(number, seal)  # whoever made that up waits for nobody, and nobody for them
            with self._lock:
                opening = self._opening.setdefault(number, _Opening())
            with opening.lock:  # others that want it wait for it
                kept = self._held(number, seal) or self._opened(number, seal, now)
                return self._keep(number, kept).view
        return self._keep(number, kept).view

    def _held(self, number: int, seal: str) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(number)
        return kept if kept is not None and kept.base.seal == seal else None

    def _keep(self, number: int, kept: _Kept) -> _Kept:
        """As it is now; as the one that was used last."""
        words = self._words or kept.words
        if words is not kept.words:
            kept = replace(kept, view=_less(kept.base, words), words=words)
        kept = replace(kept, used=time.monotonic())
        with self._lock:
            self._kept.pop(number, None)
            self._kept[number] = kept
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return kept

    def _require(self, number: int, seal: str) -> None:
        """An ApiError, unless the manifest of that number is the one of that hash."""
        folder = folder_of(self._store.root, number)
        if not folder.is_dir() or self._told(number, lambda: seal_of(read_manifest(folder))) != seal:
            raise gone(number)

    def _opened(self, number: int, seal: str, now: Snapshot) -> _Kept:
        base = self._told(number, lambda: Snapshot.open(self._store, number, now))
        if base.seal != seal:  # meanwhile
            raise gone(number)
        base = base.on(self._device, now)
        words = self._words or self._store.log.last()
        return _Kept(base, _less(base, words), words, time.monotonic())

    def _told(self, number: int, read: Callable[[], T]) -> T:
        folder = folder_of(self._store.root, number)
        try:
            return read()
        except (Error, OSError) as error:
            if not folder.is_dir():  # meanwhile
                raise gone(number) from error
            raise SnapshotError(f"{folder} cannot be opened: {error}") from error


def _less(base: Snapshot, words: LastWords) -> Snapshot:
    return base.masked(removed_since(words, base.entry))


def gone(number: int) -> ApiError:
    """What is answered where a cursor names what is no longer there."""
    return ApiError(410, f"cursor: snapshot {number} is no longer kept; search again.", "cursor")
