"""What every route needs, made once by the application."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from core.errors import Error, SnapshotError, StoreError, VideoError
from server.batching import Batched
from server.clips import Clips
from server.cursor import Cursor
from server.decoding import Decoding
from server.errors import ApiError
from server.fetching import Fetching
from server.gate import UPLOAD
from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from server.searcher import Searcher
from server.settings import ServeSettings

log = logging.getLogger(__name__)
T = TypeVar("T")
Newer = Callable[[Searcher, Error], Searcher | None]  # what answers in place of one that failed so


@dataclass(frozen=True, slots=True)
class Service:
    """A library that is served, and by what rules."""

    library: ServedLibrary
    settings: ServeSettings
    slots: Slots
    metrics: Metrics
    decoding: Slots
    files: Slots  # of the library, opened and read: a disk that hangs keeps no search from its thread
    clips: Clips
    strangers: Decoding  # of what they send
    fetching: Fetching

    def refusal(self, path: str) -> ApiError | None:
        """Why nobody gets a place for that path now; what is uploaded needs one to be decoded first."""
        return (self.decoding.refusal() if path == UPLOAD else None) or self.slots.refusal()

    async def ask(
        self,
        collection: str | None,
        encoder: str | None,
        work: Callable[[Searcher], T],
        texts: Sequence[str] = (),
        *,
        goes_on: bool = False,
        cursor: Cursor | None = None,
        slots: Slots | None = None,
    ) -> T:
        """Done in a thread by what answers for a collection, once a slot is free. Texts that it will encode
        are encoded before it takes a slot, together with those of all other requests. goes_on: for a request
        that was let in before. cursor: what it goes on behind. slots: others than those of searches."""
        slots = slots or self.slots
        searcher = self.library.find(collection, encoder, cursor)
        with slots.place(goes_on):
            if texts:
                searcher = await knowing(searcher, texts)
            asked = partial(with_newer, work, searcher, self.library.newer)
            return await slots.work(asked, self.metrics.waited)

    async def isolated(self, name: str, function: Callable[..., T], *args: object) -> T:
        """Called in a process of its own, held to limits, once a place for that is free. `name` is of the
        file that an error speaks of."""
        call = partial(call_isolated, self.settings, name, function, *args)
        return await self.decoding.run(call, self.metrics.waited)


async def knowing(searcher: Searcher, texts: Sequence[str]) -> Searcher:
    """The same, once it has encoded these."""
    if not isinstance(searcher.encoder, Batched):
        return searcher
    began = time.perf_counter()
    encoder = await searcher.encoder.knowing(texts)
    return replace(searcher, encoder=encoder, encoded_s=time.perf_counter() - began)


def call_isolated(settings: ServeSettings, name: str, function: Callable[..., T], *args: object) -> T:
    """The same in this thread. What is wrong with the file is an ApiError."""
    from extractor.media.isolated import Limits, call  # brings torch

    seconds = settings.decode_seconds
    try:
        return call(Limits(seconds, seconds, log_format=settings.log_format), name, function, *args)
    except VideoError as error:
        raise ApiError(error.http_status, str(error)) from error
    except OSError as error:  # of the machine, or of what the file lies on
        log.error("what was asked of a file cannot be made name=%s error=%s", name, error)
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "there is no room for what is made of it" if is_full else "it cannot be read"
        raise ApiError(503, f"{name}: {why}; the log says more.") from error


def with_newer(work: Callable[[Searcher], T], searcher: Searcher, newer: Newer) -> T:
    """A short `gc --age-s` takes away what an older snapshot needs; the one that is published answers."""
    try:
        return work(searcher)
    except (SnapshotError, StoreError) as error:
        found = newer(searcher, error)
        if found is None:
            raise
        return work(found)
