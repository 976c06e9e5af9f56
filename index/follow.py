"""`cinedex index build --follow`: a snapshot whenever a log has moved on, until somebody ends it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import Error
from core.store import Store
from index.bare import is_bare

log = logging.getLogger(__name__)
Build = Callable[[Store], int]  # the last entry that is covered then


@dataclass
class Follower:
    """What has been built so far. find: the stores as of now; complain: what is wrong with one, once."""

    find: Callable[[], Iterable[Path]]
    build: Build
    complain: Callable[[str], None]
    _stores: dict[Path, Store] = field(default_factory=dict)
    _built: dict[Path, int] = field(default_factory=dict)
    _told: dict[Path | None, str] = field(default_factory=dict)

    def follow(self, stop: threading.Event, seconds: float) -> None:
        """Look again and again; a store whose build takes long is not built all the time."""
        log.info("following the logs seconds=%g", seconds)
        while not stop.is_set():
            started = time.monotonic()
            self.look()
            stop.wait(max(seconds, time.monotonic() - started))

    def look(self) -> None:
        """Build what has moved on since the last look."""
        try:
            found = list(self.find())
        except Error as error:  # no store yet
            self._tell(None, str(error))
            return
        for root in found:
            try:
                self._one(root)
            except Error as error:
                self._tell(root, str(error))

    def _one(self, root: Path) -> None:
        if root not in self._stores:
            self._stores[root] = Store.open(root)
        store = self._stores[root]
        last = store.log.last()
        if last.number != self._built.get(root) and not is_bare(store):
            self._built[root] = self.build(store)
            self._told.pop(root, None)

    def _tell(self, root: Path | None, error: str) -> None:
        if self._told.get(root) != error:
            self._told[root] = error
            self.complain(error)
