"""When to build: whenever a log has moved on, but most of the time is for what moves it on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.collections import Library
from core.errors import SnapshotError
from core.store import Store
from index.bare import is_bare
from index.snapshot import folder_of, published, read_manifest
from server.commands.children import Verbs

_LEAST_S = 2.0  # between two builds
_SHARE = 3  # times as long as a build took, the next one waits


class Building:
    """A collection's stores, built by `cinedex index build` as they grow."""

    def __init__(self, library: Library, collection: str, verbs: Verbs, words: Sequence[str]) -> None:
        self._library, self._collection, self._verbs, self._words = library, collection, verbs, words
        self._stores: dict[Path, Store] = {}
        self._built: dict[Path, int] = {}
        self._next = 0.0

    def build_if_due(self, *, is_last: bool = False) -> None:
        """Build what is new, unless the last build was a moment ago and more is to come."""
        if self._verbs.stop.is_set() or (time.monotonic() < self._next and not is_last):
            return
        self._next = time.monotonic() + _LEAST_S
        moved = self._moved()
        if not moved:
            return
        began = time.monotonic()
        self._verbs.run(self._words)
        self._built |= moved
        self._next = time.monotonic() + max(_LEAST_S, _SHARE * (time.monotonic() - began))

    def is_served(self, serves: Callable[[str, int], bool]) -> bool:
        """Whether a server answers from what was published for the collection's default store."""
        slugs = self._library.collections().get(self._collection, [])
        try:
            return bool(slugs) and serves(self._collection, published(self._library.store_path(slugs[0]))[0])
        except SnapshotError:
            return False

    def has_nothing(self) -> bool:
        """Whether there are stores, and none of them holds what could be built of."""
        slugs = self._library.collections().get(self._collection, [])
        return bool(slugs) and all(is_bare(Store.open(self._library.store_path(slug))) for slug in slugs)

    def _moved(self) -> dict[Path, int]:
        """The stores whose log says more than what was built of them, with its last entry."""
        found = {}
        for slug in self._library.collections().get(self._collection, ()):
            root = self._library.store_path(slug)
            if root not in self._stores:
                self._stores[root] = Store.open(root)
                self._built[root] = _entry(root)
            last = self._stores[root].log.last()
            if last.number != self._built[root] and not is_bare(self._stores[root]):
                found[root] = last.number
        return found


def _entry(root: Path) -> int:
    """The last one that what is published covers."""
    try:
        return int(read_manifest(folder_of(root, published(root)[0]))["entry"])
    except SnapshotError:
        return 0
