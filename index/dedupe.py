"""`cinedex dedupe`: which videos, and which ranges of them, are copies or re-encodings of each other."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pydantic import Field

from core.collections import Library
from core.config import Settings, run_verb
from core.errors import SnapshotError, UsageError
from core.store import Store
from core.types import Kind
from index import told
from index.copies import find, groups
from index.progress import Progress
from index.recurring import recurring
from index.snapshot import Snapshot
from index.threads import bound_threads
from index.view import view_of

log = logging.getLogger(__name__)


class DedupeSettings(Settings):
    """List videos and ranges that are copies of each other. It changes and deletes nothing."""

    min_seconds: float = Field(10.0, gt=0, le=86_400, description="the shortest range that counts")
    similarity: float | None = Field(
        None, gt=0, le=1, description="least cosine of rows that show the same; else by what the store holds"
    )
    store: Path | None = Field(None, description="a store's folder, instead of a collection's")
    collection: str | None = Field(None, description="which one; else `default` or the first")
    encoder: str | None = Field(None, description="which of its stores; else the first with rows of pictures")
    json_output: bool = Field(False, alias="json", description="one JSON object instead of a table")
    csv: bool = Field(False, description="a line of CSV for each range instead of a table")


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(DedupeSettings, dedupe, argv, prog="cinedex dedupe")


def dedupe(settings: DedupeSettings) -> int:
    """Find them, and show them."""
    if settings.json_output and settings.csv:
        raise UsageError("--json and --csv exclude each other: one of them is written.")
    bound_threads()
    snapshot = _snapshot(settings)
    kind = _kind(snapshot)
    found = find(
        snapshot, kind, min_seconds=settings.min_seconds, least=settings.similarity, progress=Progress()
    )
    findings = told.Findings(snapshot, kind, found, groups(snapshot, found.pairs), recurring(found.pairs))
    if short := _shorter(snapshot, settings.min_seconds):
        log.warning(
            "%d videos are shorter than %g s and found only where their bytes are the same; "
            "--min-seconds takes shorter ones",
            short,
            settings.min_seconds,
        )
    write = told.as_json if settings.json_output else told.as_csv if settings.csv else told.as_table
    sys.stdout.write(write(findings))
    return 0


def _shorter(snapshot: Snapshot, seconds: float) -> int:
    """How many videos no range of that length can be in."""
    lengths = snapshot.sources.table["seconds"].to_numpy()
    is_short = (lengths > 0) & (lengths < seconds)
    is_short[list(snapshot.hidden)] = False
    return int(is_short.sum())


def _snapshot(settings: DedupeSettings) -> Snapshot:
    """Of the store that is named, or of the collection's first one that fits."""
    if settings.store is not None:
        if settings.collection is not None:
            raise UsageError("--store and --collection exclude each other: a store is looked at by itself.")
        return _opened([settings.store], settings)
    library = Library(settings.data)
    held = library.collections()
    if not held:
        raise UsageError(
            f"{settings.data} holds no store; `extract` makes one, `--data` names another folder."
        )
    default = "default" if "default" in held else next(iter(held))
    name = default if settings.collection is None else settings.collection
    if name not in held:
        raise UsageError(f"{settings.data} has no collection {name!r}; it has {', '.join(held)}.")
    return _opened([library.store_path(slug) for slug in held[name]], settings)


def _opened(roots: list[Path], settings: DedupeSettings) -> Snapshot:
    stores = [Store.open(root) for root in roots]
    names = [store.spec.name for store in stores]
    if settings.encoder is not None:
        stores = [store for store in stores if store.spec.name == settings.encoder]
    if not stores:
        raise UsageError(f"There is no store of {settings.encoder!r}; there are {', '.join(names)}.")
    opened = [view_of(store) for store in stores[:1]]
    for store in stores[1:]:
        if "frame" in opened[-1].rows:
            break
        opened.append(view_of(store))
    return next((each for each in opened if "frame" in each.rows), opened[0])


def _kind(snapshot: Snapshot) -> Kind:
    """Rows of pictures; of clips where there are none, and it says so."""
    if "frame" in snapshot.rows:
        return "frame"
    if "clip" not in snapshot.rows:
        raise SnapshotError(f"{snapshot.store.root} has no rows of videos that could be compared.")
    log.warning(
        "%s has no rows of pictures, so clips are compared: times are as exact as their stride",
        snapshot.store.root.name,
    )
    return "clip"
