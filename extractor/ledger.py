"""`extract --failed`: every place whose last word is that it failed, why, and when that was said."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.collections import Library
from core.errors import UsageError
from core.log import said_at, saying
from core.logs import plain
from core.rules import Word
from core.store import Store
from extractor.choose import ExtractSettings, asked_videos
from extractor.find import Settling, Target
from extractor.held import held_store
from extractor.prefix import UrlTarget
from extractor.videos import VideosTarget, look_at
from extractor.work import key_of


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
    for found in saying(store.log.last(), "failed"):
        if is_wanted(found.word):
            yield Failed(found.word, found.entry, said(found.entry))


def _wanted(settings: ExtractSettings, library: Library) -> Callable[[Word], bool]:
    if settings.root and settings.root not in library.roots() and settings.root not in library.bases():
        raise UsageError(
            f"--root {settings.root!r} is not known here; {', '.join(library.roots()) or 'none'} are."
        )
    target = asked_videos(settings, library)
    return _within(target) if target else lambda word: settings.root in ("", word.root)


def _within(target: VideosTarget) -> Callable[[Word], bool]:
    """Whether a place is one of what --videos names: below the folder, though it may be there no more."""
    if isinstance(target, Target) and target.kind == "folder":
        below = target.below + b"/" if target.below else b""
        return lambda word: word.root == target.root and word.path.startswith(below)
    if isinstance(target, UrlTarget):
        return lambda word: word.root == target.root and target.holds(word.path)
    stop = threading.Event()
    named = {key_of(place) for place in look_at(target, stop, Settling(stop, 0.0, waits=False))}
    return lambda word: key_of(word.place) in named


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
