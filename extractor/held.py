"""A store that is there, as verbs that only read it are told which."""

from __future__ import annotations

from pathlib import Path

from core.collections import Library
from core.errors import StoreError, UsageError
from core.store import Store
from extractor.asked import is_called


def held_store(data: Path, store: Path | None, collection: str, encoder: str | None) -> tuple[Library, Store]:
    """The store that is named, or the collection's of that encoder, else its first; beside its roots."""
    if store is not None:
        found = Store.open(store)
        if encoder and not is_called(found.spec.name, encoder):
            raise StoreError(f"{store} holds vectors of {found.spec.name}, not of {encoder}.")
        return Library(data if store.absolute().parent == data.absolute() else store), found
    library = Library(data)
    known = library.collections()
    if collection not in known:
        raise UsageError(f"{data} has no collection {collection!r}{_instead(list(known))}")
    stores = [Store.open(library.store_path(slug)) for slug in known[collection]]
    names = [each.spec.name for each in stores]
    for each, name in zip(stores, names, strict=True):
        if not encoder or is_called(name, encoder):
            return library, each
    raise UsageError(f"Collection {collection!r} has no store of {encoder}; it has {', '.join(names)}.")


def _instead(known: list[str]) -> str:
    return f"; it has {', '.join(known)}." if known else " yet; `extract` makes one."
