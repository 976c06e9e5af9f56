"""What is served: collections of encoders, each with a view that is swapped as a whole."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.collections import Library
from core.errors import Error, StoreError
from core.running import runs
from core.types import EncoderSpec
from server import removal
from server.batching import Batching
from server.cursor import Cursor
from server.encoders import Encoders, Load, Retry
from server.errors import ApiError
from server.folders import Folders
from server.follow import Followed, Glance
from server.searcher import Searcher

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder

log = logging.getLogger(__name__)
DEFAULT = "default"
RENEW_S = 1.0
NO_COLLECTION = "There is no collection yet; `extract --videos DIR` makes one."
TAKING_IN = "Your videos are being taken in; the first of them can be searched in a moment."
UNREADABLE = "The collections cannot be read; the server's log says why."
_TAKE_IN = ("open", "extract", "import")
Catalog = Callable[[], Mapping[str, Sequence[Path]]]  # collection → stores, the default one first
FindFolders = Callable[[], Folders]


@dataclass(frozen=True, slots=True)
class Offer:
    """One encoder of a collection, as of the last look."""

    collection: str
    seen: Glance
    store: str  # its folder's name
    folders: Folders = field(default_factory=Folders)
    is_first: bool = True  # of its encoder; as while a store of another sampling takes its place

    @property
    def encoder(self) -> str:
        """What requests call it; where the store cannot be opened, or its encoder has one before it, by its
        folder."""
        return self.seen.spec.name if self.seen.spec and self.is_first else self.store

    def is_of(self, encoder: str | None) -> bool:
        return encoder in (None, self.encoder, self.store)

    def shows(self, cursor: Cursor) -> bool:
        """Whether it answers from the snapshot that a cursor names."""
        view = self.seen.view
        return view is not None and (view.number, view.seal) == (cursor.snapshot, cursor.seal)

    def has(self, cursor: Cursor) -> bool:
        """Whether it was published here before."""
        return self.seen.earlier is not None and self.seen.earlier.has(cursor.snapshot, cursor.seal)

    def searcher(self) -> Searcher:
        """Ready to answer, or the ApiError that says why not."""
        seen = self.seen
        if seen.problem or seen.encoder is None or seen.view is None:
            raise seen.problem or ApiError(503, f"The encoder {self.encoder} is not ready.")
        return Searcher(
            self.collection, seen.encoder, seen.view, seen.earlier, self.folders, called=self.encoder
        )


class ServedLibrary:
    """Collections as they change. `look` is called again and again; requests take what it last saw."""

    def __init__(
        self,
        catalog: Catalog,
        load: Load | None = None,
        trusted: Collection[str] = (),
        device: str = "cpu",
        folders: FindFolders = lambda: Folders(is_known=False),
        is_growing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_growing = is_growing
        self._missed: Callable[[], None] = lambda: None
        self._find_folders, self._folders = folders, Folders(is_known=False)
        self._catalog, self._trusted, self._device = catalog, trusted, device
        self._encoders = Encoders(load or load_encoder, self.look)
        self._followed: dict[Path, Followed] = {}
        self._patience = Retry()
        self._looking = threading.Lock()
        self._renewing, self._renewed = threading.Lock(), -RENEW_S
        self._known: Mapping[str, Sequence[Path]] = {}
        self._default: Mapping[str, Path] = {}  # of each collection, as it is served
        self._is_readable = True
        self._offers: Mapping[str, Sequence[Offer]] | None = None  # None: not looked yet

    @classmethod
    def of_data(
        cls, data: Path, load: Load | None = None, trusted: Collection[str] = (), device: str = "cpu"
    ) -> ServedLibrary:
        """All collections of a `--data` folder."""
        library = Library(data)
        return cls(
            lambda: {
                name: [library.store_path(slug) for slug in slugs]
                for name, slugs in library.collections().items()
            },
            load,
            trusted,
            device,
            lambda: Folders(library.roots(), frozenset(library.bases())),
            lambda: any(each.verb in _TAKE_IN for each in runs(data)),
        )

    @classmethod
    def of_store(cls, store: Path, load: Load | None = None) -> ServedLibrary:
        """One store as the collection `default`."""
        return cls(lambda: {DEFAULT: [store]}, load)

    def encode_by(self, batching: Batching) -> None:
        """How the texts of encoders are encoded that are loaded from now on."""
        self._encoders.batching = batching

    def when_missed(self, tell: Callable[[], None]) -> None:
        """What is called whenever somebody asks for what cannot be searched, as of the last look."""
        self._missed = tell

    def close(self) -> None:
        """Let the threads of encoders end once they are idle."""
        self._encoders.close()

    @property
    def is_loading(self) -> bool:
        """Whether nothing was looked at yet, or an encoder is on its way."""
        return self._offers is None or self._encoders.is_loading

    def look(self) -> None:
        """See what changed: collections, stores, snapshots, removals."""
        with self._looking:
            self._read()
            self._look()

    def _look(self) -> None:
        seen = {root: followed.look() for root, followed in self._followed.items()}
        served = {name: self._served(name, roots, seen) for name, roots in self._known.items()}
        self._default = {name: roots[0] for name, roots in served.items()}
        self._offers = {
            name: [*_offered(name, [(root, seen[root]) for root in roots], self._folders)]
            for name, roots in served.items()
        }
        self._encoders.keep({each.wanted for each in self._followed.values() if each.wanted})

    def _served(self, name: str, roots: Sequence[Path], seen: Mapping[Path, Glance]) -> Sequence[Path]:
        """What was the default one stays so, though it is not even named any more, until the one that is to
        follow it can be searched."""
        before = self._default.get(name, roots[0])
        if before == roots[0] or seen[roots[0]].problem is None or seen[before].problem is not None:
            return roots
        return [before, *(root for root in roots if root != before)]

    def _read(self) -> None:
        try:
            known = self._catalog()
            if self._known and not known:
                raise StoreError("The collections that were served are gone.")
            self._known, self._folders = known, self._find_folders()
        except (Error, OSError) as error:
            self._patience.fail("collections cannot be read", error)
            self._is_readable = False
        else:
            self._patience.reset()
            self._is_readable = True
        roots = {root for roots in self._known.values() for root in roots}
        roots |= {self._default[name] for name in self._default if name in self._known}
        self._followed = {
            root: self._followed.get(root) or Followed(root, self._encoders, self._trusted, self._device)
            for root in sorted(roots)
        }

    def remove(self, collection: str | None, source: str) -> None:
        """Out of every answer, in every store of a collection; or an ApiError. Whoever asks from now on is
        answered without it here, and by other processes from their next look on."""
        with self._looking:
            self._read()  # a store may have been added since
            name = default_of(self._known) if collection is None else collection
            if name is None or not self._is_readable:
                raise self._nothing()
            if name not in self._known:
                raise _no_collection(name)
            # Also what answers until the store that is to follow it can be searched.
            roots = dict.fromkeys([*self._known[name], *self._default_roots(name)])
            try:
                removal.remove([self._followed[root] for root in roots], source)
            finally:
                self._look()  # some may have it though others failed

    def _nothing(self) -> ApiError:
        """Why there is no collection."""
        if not self._is_readable:
            return ApiError(503, UNREADABLE)
        return ApiError(503, TAKING_IN if self._is_growing() else NO_COLLECTION)

    def _default_roots(self, name: str) -> list[Path]:
        return [self._default[name]] if name in self._default else []

    @property
    def offers(self) -> Mapping[str, Sequence[Offer]]:
        """Collection → its encoders, the default one first."""
        return self._offers or {}

    @property
    def has_files(self) -> bool:
        """Whether it is known where files lie that could be shown."""
        return bool(self._folders.folders)

    @property
    def default(self) -> str | None:
        """The collection that answers where a request names none."""
        return default_of(self.offers)

    def find(
        self, collection: str | None = None, encoder: str | None = None, cursor: Cursor | None = None
    ) -> Searcher:
        """What answers a request; take it once, and use it to the end. cursor: that it goes on behind."""
        try:
            return self._found(collection, encoder, cursor)
        except ApiError:
            self._missed()
            raise

    def _found(self, collection: str | None, encoder: str | None, cursor: Cursor | None) -> Searcher:
        if self._offers is None:
            raise ApiError(503, "The server is loading.")
        name = self.default if collection is None else collection
        if name is None:
            raise self._nothing()
        offers = self._offers.get(name)
        if offers is None:
            raise _no_collection(name)
        found = [offer for offer in offers if offer.is_of(encoder)]
        if not found:
            has = ", ".join(dict.fromkeys(offer.encoder for offer in offers))
            message = f"encoder: the collection {name} has no {encoder!r}; it has {has}."
            raise ApiError(404, message, "encoder")
        return (found[0] if cursor is None else _behind(cursor, offers) or found[0]).searcher()

    def newer(self, searcher: Searcher, error: Error) -> Searcher | None:
        """What answers in place of one that failed so, if anything else does. It is told, and looked for, at
        most once a second: whoever comes meanwhile takes what was found then."""
        with self._renewing:
            found, is_due = self._other(searcher), time.monotonic() >= self._renewed + RENEW_S
            if is_due:
                number = searcher.view.number
                log.warning(
                    "snapshot failed collection=%s number=%d error=%s", searcher.collection, number, error
                )
            if is_due and found is None:
                self.look()
                found = self._other(searcher)
            if is_due:
                self._renewed = time.monotonic()
        return found

    def _other(self, searcher: Searcher) -> Searcher | None:
        store = searcher.view.store.root.name
        is_there = any(offer.store == store for offer in self.offers.get(searcher.collection, ()))
        found = self.find(searcher.collection, store if is_there else searcher.encoder.spec.name)
        return None if found.view is searcher.view else found


def _offered(collection: str, stores: Sequence[tuple[Path, Glance]], folders: Folders) -> Iterator[Offer]:
    names = set[str]()
    for root, seen in stores:
        name = seen.spec.name if seen.spec else ""
        yield Offer(collection, seen, root.name, folders, name not in names)
        names.add(name)


def _behind(cursor: Cursor, offers: Sequence[Offer]) -> Offer | None:
    """Of several stores of one encoder, the one that a cursor is of."""
    alike = [offer for offer in offers if offer.seen.spec and offer.seen.spec.name == cursor.encoder]
    if len(alike) > 1:
        for is_it in (Offer.shows, Offer.has):  # the second one reads files
            for offer in alike:
                if is_it(offer, cursor):
                    return offer
    return None


def default_of(collections: Collection[str]) -> str | None:
    """The one that answers where a request names none, of those there are."""
    return DEFAULT if DEFAULT in collections else next(iter(collections), None)


def _no_collection(name: str) -> ApiError:
    return ApiError(404, f"collection: there is no {name!r} here.", "collection")


def load_encoder(spec: EncoderSpec) -> Encoder:
    """On the CPU. Imported when called: torch takes seconds, and the server answers meanwhile."""
    from extractor.encoders import load_again

    return load_again(spec)
