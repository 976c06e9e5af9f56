"""One store as it changes: its newest snapshot, less what was removed since, and the encoder that fits."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from core.log import LastWords
from core.store import Store
from core.types import EncoderSpec
from index.bare import is_bare
from index.snapshot import Snapshot, current
from index.view import removed_since
from server.batching import Batched
from server.earlier import Earlier
from server.encoders import Encoders, Held, Retry, WantedEncoder
from server.errors import ApiError
from server.trust import distrusted, misfit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Glance:
    """What a look at a store found. `problem` is None where it can be searched."""

    spec: EncoderSpec | None = None
    encoder: Batched | None = None
    view: Snapshot | None = None
    published: float = 0.0  # when CURRENT was written, in seconds since 1970
    problem: ApiError | None = None
    earlier: Earlier | None = None  # snapshots that were published before


class Followed:
    """One store's folder, looked at again and again by one thread at a time."""

    def __init__(
        self, root: Path, encoders: Encoders, trusted: Collection[str] = (), device: str = "cpu"
    ) -> None:
        self.root = root
        self._device = device
        self._encoders = encoders
        self._trusted = trusted  # encoders whose imported vectors are taken for theirs
        self._patience = Retry()
        self._forget()

    def _forget(self) -> None:
        self._made: tuple[int, int] | None = None  # which store.json
        self._store: Store | None = None
        self._base: Snapshot | None = None
        self._text: str | None = None  # of CURRENT, when base was opened
        self._refused: str | None = None  # of CURRENT, when it did not open
        self._is_troubled = False
        self._published = 0.0
        self._words: LastWords | None = None
        self._view: Snapshot | None = None
        self._earlier: Earlier | None = None

    def look(self) -> Glance:
        """What is there now."""
        try:
            store = self.open()
            self._refresh(store)
            if doubt := distrusted(store.spec, self._trusted):
                return Glance(store.spec, None, self._view, self._published, ApiError(409, doubt))
            held = self._encoders.get(store.spec)
            problem = self._problem(store, held)
            return Glance(store.spec, held.encoder, self._view, self._published, problem, self._earlier)
        except Exception as error:  # this store's edge: the others are followed on
            self._patience.fail(f"store does not open folder={self.root.name}", error)
            return Glance(problem=ApiError(503, f"The store {self.root.name} cannot be opened."))

    @property
    def wanted(self) -> WantedEncoder | None:
        """Which encoder answers for this store, as of the last look that could open it."""
        return (self._store.spec.name, self._store.spec.fingerprint) if self._store else None

    def open(self) -> Store:
        """The store as it is made now, with what was read of its log; or an error."""
        held = (self.root / "store.json").stat()
        made = (held.st_ino, held.st_mtime_ns)
        if self._store is None or made != self._made:
            self._forget()
            self._store, self._made = Store.open(self.root), made
            self._earlier = Earlier(self._store, self._device)
            self._patience.reset()
        return self._store

    def _problem(self, store: Store, held: Held) -> ApiError | None:
        spec, name, encoder = store.spec, store.spec.name, held.encoder
        if encoder is None and held.is_loading:
            return ApiError(503, f"The encoder {name} is loading.")
        if encoder is None:
            return ApiError(503, f"The encoder {name} is not loaded; the server's log says why.")
        if why := misfit(spec, encoder.spec):
            return ApiError(409, why)
        if self._view is None and self._is_troubled:
            return ApiError(503, f"The snapshot of {name} does not open; the server's log says why.")
        if self._view is None and is_bare(store):
            return ApiError(503, f"The store of {name} holds nothing to search yet; `extract` fills it.")
        if self._view is None:
            return ApiError(503, f"No snapshot of {name} is published; `cinedex index build` makes one.")
        return None

    def _refresh(self, store: Store) -> None:
        """The newest snapshot that opens, less what was removed since."""
        try:
            # CURRENT is read before the snapshot is opened, the log after: what is missed is seen next time.
            text = current(self.root)
            is_due = text != self._refused or self._patience.is_over()
            if is_new := text is not None and text != self._text and is_due:
                self._swap(store, text)
            self._mask(store)
            self._is_troubled = self._refused is not None
            if is_new and self._base is not None:
                for live in self._base.parts:
                    live.part.warm()
        except Exception as error:  # the same edge: what is open goes on answering
            self._is_troubled = True
            self._patience.fail(f"store cannot be followed folder={self.root.name}", error)

    def _swap(self, store: Store, text: str) -> None:
        if text != self._refused:
            self._patience.reset()
        self._refused = text
        published = (self.root / "CURRENT").stat().st_mtime
        base = Snapshot.open(store, beside=self._base).on(self._device, self._base)
        self._base, self._text, self._published = base, text, published
        self._words = self._refused = None
        self._patience.reset()
        log.info("snapshot opened store=%s number=%d rows=%s", self.root.name, base.number, dict(base.rows))

    def _mask(self, store: Store) -> None:
        if self._base is None:
            return
        words = store.log.last()
        if self._earlier is not None:
            self._earlier.heed(words)
        if words is not self._words:
            self._view = self._base.masked(removed_since(words, self._base.entry))
            self._words = words
