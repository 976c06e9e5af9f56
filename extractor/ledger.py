"""`extract --failed`: every place whose last word is that it failed, why, and when that was said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.collections import Library
from core.log import said_at
from core.logs import plain
from core.rules import Word
from core.store import Store
from extractor.choose import ExtractSettings
from extractor.find import Listing, Target, target_of
from extractor.held import held_store


@dataclass(frozen=True, slots=True)
class Failed:
    """One place, and what was said of it."""

    word: Word
    entry: int
    said: str  # ISO 8601; "" where gc has taken the entry and left its number


def list_failed(settings: ExtractSettings) -> int:
    """Show them all, or those of --videos or --root."""
    library, store = held_store(settings.data, settings.store, settings.collection, settings.encoder)
    found = sorted(failures(store, _wanted(settings, library)), key=lambda each: each.word.place.shown)
    if settings.json_output:
        held = {"store": str(store.root), "failed": [_as_json(each) for each in found]}
        sys.stdout.write(json.dumps(held, indent=1) + "\n")
        return 0
    for each in found:
        sys.stdout.write(f"{each.said or f'entry {each.entry}'}  {plain(each.word.place.shown)}: ")
        sys.stdout.write(f"{plain(each.word.error)}\n")
    sys.stdout.write("" if found else f"{store.root}: nothing has failed.\n")
    return 0


def failures(store: Store, is_wanted: Callable[[Word], bool]) -> Iterator[Failed]:
    """Those that are wanted, in no order."""
    said = lru_cache(lambda entry: said_at(store.log.folder, entry))
    for _, found in store.log.last().all_said():
        if found.word.word == "failed" and is_wanted(found.word):
            yield Failed(found.word, found.entry, said(found.entry))


def _wanted(settings: ExtractSettings, library: Library) -> Callable[[Word], bool]:
    if settings.videos is None:
        return lambda word: settings.root in ("", word.root)
    target = target_of(settings.videos, settings.root, library.roots())
    return _within(target)


def _within(target: Target) -> Callable[[Word], bool]:
    """Whether a place is one of what --videos names: below the folder, though it may be there no more."""
    if target.kind == "folder":
        below = target.below + b"/" if target.below else b""
        return lambda word: word.root == target.root and word.path.startswith(below)
    paths = {place.path for place in Listing(target)}
    return lambda word: word.root == target.root and word.path in paths


def _as_json(failed: Failed) -> dict[str, Any]:
    word = failed.word
    return {
        "path": word.place.shown,
        "root": word.root,
        "file": os.fsdecode(word.path),
        "error": word.error,
        "said": failed.said or None,
        "entry": failed.entry,
    }
