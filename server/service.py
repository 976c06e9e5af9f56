"""What every route needs, made once by the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from core.errors import Error, SnapshotError, StoreError
from server.decoding import Decoding
from server.fetching import Fetching
from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from server.searcher import Searcher
from server.settings import ServeSettings

T = TypeVar("T")
Newer = Callable[[Searcher, Error], Searcher | None]  # what answers in place of one that failed so


@dataclass(frozen=True, slots=True)
class Service:
    """A library that is served, and by what rules."""

    library: ServedLibrary
    settings: ServeSettings
    slots: Slots
    metrics: Metrics
    decoding: Decoding
    fetching: Fetching

    async def ask(self, collection: str | None, encoder: str | None, work: Callable[[Searcher], T]) -> T:
        """Done in a thread by what answers for a collection, once a slot is free."""
        searcher = self.library.find(collection, encoder)
        asked = partial(with_newer, work, searcher, self.library.newer)
        return await self.slots.run(asked, self.metrics.waited)


def with_newer(work: Callable[[Searcher], T], searcher: Searcher, newer: Newer) -> T:
    """A short `gc --age-s` takes away what an older snapshot needs; the one that is published answers."""
    try:
        return work(searcher)
    except (SnapshotError, StoreError) as error:
        found = newer(searcher, error)
        if found is None:
            raise
        return work(found)
