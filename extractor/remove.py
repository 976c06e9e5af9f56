"""`cinedex remove`: out of every answer, in every store of the collection; and back in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core.collections import Library
from core.config import Settings, run_verb
from core.errors import UsageError
from core.log import LastWords, Task
from core.logs import plain
from core.rules import Word
from core.store import Store
from core.writer import Writer
from extractor.url import is_url, local_path, shorn, url_of


class RemoveSettings(Settings):
    """Take videos or texts out of every answer; they stay out wherever they turn up."""

    what: CliPositionalArg[str] = Field(
        "", description="a path or a whole folder, a URL, a path as answers show it, or an id"
    )
    root: str = Field("", description="a root that moved for good: all its places are gone")
    undo: bool = Field(False, description="take it back; of a folder, all that was removed below it")
    collection: str = Field("default", description="in whose stores")


def main(argv: list[str] | None = None) -> int:
    """`cinedex remove`."""
    return run_verb(RemoveSettings, remove, argv, prog="cinedex remove")


def remove(settings: RemoveSettings) -> int:
    """Say it in every store of the collection, or a UsageError where nothing is called so."""
    if bool(settings.what) == bool(settings.root):
        raise UsageError("name what to remove: a path, an id, or --root NAME.")
    if settings.root and settings.undo:
        raise UsageError("--root with --undo cannot be; `extract` finds a root's places again.")
    library = Library(settings.data)
    slugs = library.collections().get(settings.collection, [])
    if not slugs:
        raise UsageError(f"{settings.data} has no collection {settings.collection!r}.")
    stores = [Store.open(library.store_path(slug)) for slug in slugs]
    counts = [_in_store(store, settings, library) for store in stores]
    shown = shorn(settings.what)
    what = shown or f"--root {settings.root}"
    if not any(counts) and not settings.undo and any(_has(store, settings, library) for store in stores):
        sys.stdout.write(f"{_told(shown)}: removed already.\n")
        return 0
    if not any(counts):
        quoted = repr(shown) if shown else f"--root {settings.root!r}"
        raise UsageError(f"{quoted} is nothing that {'was removed' if settings.undo else 'can be found'}.")
    verb = "restored" if settings.undo else "gone" if settings.root else "removed"
    noun = "place" if settings.root else "source"
    plural = "" if max(counts) == 1 else "s"
    then = "; what an index build has left out since comes back with the next one" if settings.undo else ""
    sys.stdout.write(f"{_told(what)}: {max(counts)} {noun}{plural} {verb}{then}.\n")
    return 0


def _told(what: str) -> str:
    return plain(what.encode(errors="replace").decode())


def _has(store: Store, settings: RemoveSettings, library: Library) -> bool:
    """Whether something is called so, removed or not."""
    what = settings.what
    return bool(what and _named(store.log.last(), what, _paths(what, library)))


def _in_store(store: Store, settings: RemoveSettings, library: Library) -> int:
    known = store.log.last()
    writer = Writer(store)
    if settings.root:
        places = [w.place for w in known.words() if w.root == settings.root and w.word != "gone"]
        for place in places:
            writer.gone(Task(place, known.number))
        count = len(places)
    else:
        sources = _named(known, settings.what, _paths(settings.what, library))
        removed = known.removed()
        sources = sources & removed if settings.undo else sources - removed
        for source in sorted(sources):
            (writer.restored if settings.undo else writer.removed)(source, known.number)
        count = len(sources)
    writer.commit()
    return count


def _paths(what: str, library: Library) -> set[tuple[str, bytes]]:
    """The places that a path or a URL can mean: as answers show it, or a root's, or what is below it."""
    if is_url(what):
        url = url_of(what)
        path = os.fsencode(url.path).rstrip(b"/")
        return {(name, path) for name, base in library.bases().items() if base == url.base}
    what = local_path(what)
    roots = library.roots()
    root, _, rest = os.fsencode(what).rstrip(b"/").partition(b"/")
    shown = os.fsdecode(root), rest
    found = {shown} if rest or shown[0] in roots else set()
    path = os.path.abspath(os.fsencode(what)).rstrip(b"/") + b"/"
    for name, folder in roots.items():
        base = os.path.abspath(os.fsencode(folder)).rstrip(b"/") + b"/"
        if path.startswith(base):
            found.add((name, path[len(base) :].rstrip(b"/")))
    return found


def _named(known: LastWords, what: str, paths: Iterable[tuple[str, bytes]]) -> set[str]:
    if known.has_rows(what) or known.is_removed(what):
        return {what}
    places = set(paths)
    done = [word for word in known.words() if word.word == "done"]
    found = {word.source for word in done if _is_meant(word, what, places)}
    if found or "\\" not in what:
        return found
    # As tables show a name that holds the end of a line.
    return {word.source for word in done if plain(word.place.shown) == what}


def _is_meant(word: Word, what: str, places: set[tuple[str, bytes]]) -> bool:
    if (word.root, word.path) in places or word.place.shown == what:
        return True
    folders = (path and path + b"/" for root, path in places if root == word.root)
    return any(word.path.startswith(folder) for folder in folders)
