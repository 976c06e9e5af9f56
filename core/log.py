"""Numbered entries of words. An entry appears by one link, which is the commit and the compare-and-set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from core import files
from core.checkpoint import VERBS, WHYS, Checkpoint, checkpoints, newest_checkpoint, write_checkpoint
from core.errors import StoreError
from core.rules import (
    Entry,
    LastWords,
    LiveSource,
    PlaceVerb,
    Said,
    SourceVerb,
    Winner,
    Wish,
    Word,
    fits,
    key_of,
    place_key,
    why_not,
)
from core.sidecars import seen_of, sidecars_from_json, sidecars_to_json
from core.types import Place, canonical

__all__ = ["Entry", "LastWords", "LiveSource", "Log", "Task", "Winner", "Word"]

FORMAT = 1
CHECKPOINT_ENTRIES = 256
CHECKPOINT_WORDS = 100_000
CHECKPOINT_LEAST_WORDS = 5_000
_TODO_BATCH = 4_096


@dataclass(frozen=True, slots=True)
class Task:
    """A place that is to do, and the entry up to which the log had been read when it was handed out."""

    place: Place
    since: int
    source: str = ""  # what the place is known to hold: only its columns are new, and nothing is to read


class Log:
    """The log of one store. It keeps what it has read, and reads on from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known = LastWords()

    def last(self) -> LastWords:
        """The last words as of now: the newest checkpoint and the entries after it."""
        for _ in range(2):  # gc may take the first entries away between the look and the reading
            newest, base = newest_checkpoint(self.folder), self._known.base
            # Always the newest, though this view may know more: gc takes older ones away.
            if newest and newest[0] > (base.number if base else 0):
                self._known = LastWords(Checkpoint.open(newest[1]))
            self._known = self._known.after(self._entries_after(self._known.number))
            if self._known.number:
                return self._known
        raise StoreError(f"{self.folder} has neither its first entry nor a checkpoint.")

    def _entries_after(self, number: int) -> Iterator[Entry]:
        # By number and never from a listing, which has holes while others commit.
        while entry := read_entry(self.folder, number + 1):
            yield entry
            number += 1

    def append(self, entry: Entry) -> bool:
        """Commit under the entry's number; False where the name is taken or the log has moved on."""
        path = entry_path(self.folder, entry.number)
        if not files.link_new(path, encode_entry(entry)):
            return False
        if entry_path(self.folder, entry.number - 1).exists():
            return True
        newest = newest_checkpoint(self.folder)
        if newest is None or newest[0] < entry.number:
            return True
        # This process slept for a day. gc has gone past, and a checkpoint covers the number: either the name
        # was free only because its entry had been taken away, or the checkpoint has our words already.
        path.unlink(missing_ok=True)
        return False

    def checkpoint_if_due(self) -> None:
        """Gather all last words in one file once the entries after the newest one are many."""
        known = self.last()
        base = known.base if isinstance(known.base, Checkpoint) else None
        behind = known.number - (base.number if base else 0)
        # Words are slow to read one by one, so a few thousand are many where there are no more; a fourth of
        # what a checkpoint holds keeps the work of writing them in proportion to what is said.
        many = max(CHECKPOINT_LEAST_WORDS, base.count // 4 if base else 0)
        if behind >= CHECKPOINT_ENTRIES or len(known.fresh) >= min(CHECKPOINT_WORDS, many):
            write_checkpoint(self.folder, known)

    def todo(
        self,
        find: Callable[[], Iterable[Place]],
        *,
        again: bool = False,
        retry_failed: bool = False,
        stills: bool = False,
        skipped: Counter[str] | None = None,
    ) -> Iterator[Task]:
        """The places whose last word does not fit what is there now. No file is opened."""
        wish = Wish(again, retry_failed, stills)
        known = self.last()
        base = known.base if isinstance(known.base, Checkpoint) else None
        places = iter(find())
        counts: Counter[str] = Counter() if skipped is None else skipped
        while batch := list(islice(places, _TODO_BATCH)):
            reasons = _reasons(known, base, batch, wish)
            held = [place for place, why in zip(batch, reasons, strict=True) if why == "already"]
            retagged = _retagged(known, base, held)
            for place, why in zip(batch, reasons, strict=True):
                if why == "already" and (word := retagged.get(place_key(place.root, place.path))):
                    yield Task(replace(place, sidecars=word.sidecars), known.number, word.source)
                elif why:
                    counts[why] += 1
                else:
                    yield Task(place, known.number)


def _reasons(known: LastWords, base: Checkpoint | None, places: list[Place], wish: Wish) -> list[str]:
    if base is None:
        return [why_not(known, place, wish) for place in places]
    keys = [place_key(place.root, place.path) for place in places]
    lines = base.lines(np.array(keys, np.uint64))
    held = {name: array[lines] for name, array in base.places.items()}
    rows = base.have_rows(held["source_key"], known.replaced)
    reasons = []
    for i, (key, place) in enumerate(zip(keys, places, strict=True)):
        if key in known.fresh:
            reasons.append(why_not(known, place, wish))
            continue
        verb = cast(PlaceVerb, VERBS[held["verb"][i]])
        seen = seen_of(place.stamp, place.sidecars if verb == "done" else ())
        source = int(held["source_key"][i])
        if lines[i] < 0:
            reasons.append("")
        elif held["stamp_key"][i] != key_of(seen):
            reasons.append(why_not(known, place, wish) if source in known.removed_keys else "")
        else:
            has_rows = known.touched_sources.get(source, bool(rows[i]))
            why = WHYS[held["why"][i]]
            reasons.append(fits(verb, why, has_rows, source in known.removed_keys, wish))
    return reasons


def _retagged(known: LastWords, base: Checkpoint | None, places: Iterable[Place]) -> dict[int, Word]:
    """By key: the last words of those of these places that have other columns than the log knows."""
    tagged = {place_key(p.root, p.path): p.columns for p in places if p.columns is not None}
    old = [key for key in tagged if key not in known.fresh]
    if base and old:
        keys = np.array([key_of(tagged[key] or "") for key in old], np.uint64)
        same = base.columns_keys[base.lines(np.array(old, np.uint64))] == keys
        old = [key for key, is_same in zip(old, same, strict=True) if not is_same]
    said = known.said_of_places([*(key for key in tagged if key in known.fresh), *old])
    return {key: s.word for key, s in said.items() if s.word.columns != tagged[key]}


def begin(folder: Path) -> None:
    """The first entry says nothing: it is there so that every other one has one before it (rule 1)."""
    files.link_new(entry_path(folder, 1), encode_entry(Entry(1)))


def entry_path(folder: Path, number: int) -> Path:
    """Where an entry of that number lies."""
    return folder / f"{number:06d}.jsonl"


def _said_json(word: Word) -> dict[str, Any]:
    if not word.about_place:
        return {"word": word.word, "source": word.source}
    held: dict[str, Any] = {
        "word": word.word,
        "root": word.root,
        "path": word.path.decode("utf-8", "surrogateescape"),
        "stamp": word.stamp,
        "source": word.source,
        "error": word.error,
        "columns": json.loads(word.columns) if word.columns else None,
        "sidecars": sidecars_to_json(word.sidecars),
    }
    return {key: value for key, value in held.items() if value or key in ("word", "root", "path", "stamp")}


def encode_entry(entry: Entry) -> bytes:
    """A header with the hash of everything, a line for each layer the shard holds, a word a line."""
    lines = [{"word": "rows", "source": source, "layer": layer} for source, layer in entry.holds]
    lines += [_said_json(word) for word in entry.words]
    rest = "".join(canonical(line) + "\n" for line in lines).encode()
    header: dict[str, Any] = {
        "format": FORMAT,
        "entry": entry.number,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "shard": entry.shard,
        "manifest": entry.manifest,
        "replaces": list(entry.replaces),
    }
    header[files.SEAL] = files.hash_bytes(canonical(header).encode() + b"\n" + rest)
    return canonical(header).encode() + b"\n" + rest


def read_entry(folder: Path, number: int) -> Entry | None:
    """The entry of that number, or None where there is none yet."""
    path = entry_path(folder, number)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return decode_entry(number, data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}.") from error


def saying(known: LastWords, verb: PlaceVerb, after: int = 0) -> Iterator[Said]:
    """The last words of places that say this and were said after that entry: no others are read."""
    for key, found in known.base.saying(verb, after) if known.base else ():
        if key not in known.fresh:
            yield found
    yield from (said for said in known.fresh.values() if said.word.word == verb and said.entry > after)


def said_at(folder: Path, number: int) -> str:
    """When an entry was made, in ISO 8601; "" where only a checkpoint has what it said."""
    try:
        with entry_path(folder, number).open("rb") as lines:
            return str(json.loads(lines.readline())["created"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{entry_path(folder, number)} is damaged: {error}.") from error


def decode_entry(number: int, data: bytes) -> Entry:
    """The entry in these bytes; a ValueError where a byte of them is another than was written."""
    head, _, rest = data.partition(b"\n")
    header = json.loads(head)
    seal = header.pop(files.SEAL)
    sealed = files.hash_bytes(canonical(header).encode() + b"\n" + rest)
    if seal != sealed or canonical(header | {files.SEAL: seal}).encode() + b"\n" + rest != data:
        raise ValueError("its hash does not fit its lines")
    if header["format"] != FORMAT:
        raise StoreError(f"Log entry {number} has format {header['format']}; this version reads {FORMAT}.")
    if header.get("entry", number) != number:  # older ones do not say
        raise ValueError(f"it is entry {header['entry']}")
    held = [json.loads(line) for line in rest.splitlines()]
    return Entry(
        number,
        words=tuple(word for word in map(_word_of, held) if word is not None),
        shard=header["shard"],
        manifest=header["manifest"],
        holds=tuple((line["source"], line["layer"]) for line in held if line["word"] == "rows"),
        replaces=tuple(header["replaces"]),
    )


def _word_of(held: dict[str, Any]) -> Word | None:
    if held["word"] in ("removed", "restored"):
        return Word(cast(SourceVerb, held["word"]), source=held["source"])
    if held["word"] not in ("done", "failed", "skipped", "gone"):
        return None  # `rows`, and kinds of line that later versions add
    return Word(
        cast(PlaceVerb, held["word"]),
        root=held["root"],
        path=held["path"].encode("utf-8", "surrogateescape"),
        stamp=held["stamp"],
        source=held.get("source", ""),
        error=held.get("error", ""),
        columns=canonical(held["columns"]) if held.get("columns") else None,
        sidecars=sidecars_from_json(held.get("sidecars", ())),
    )


def entry_numbers(folder: Path) -> list[int]:
    """The numbers a listing shows: for gc and for checks, never to find the newest entry."""
    stems = [name.removesuffix(".jsonl") for name in files.names(folder) if name.endswith(".jsonl")]
    return sorted(int(stem) for stem in stems if stem.isdigit())


def collectable(folder: Path, old_s: float) -> list[Path]:
    """What gc may remove, in this order: entries that a checkpoint from before `old_s` covers, but the
    highest, and the checkpoints before that one."""
    old = [found for found in checkpoints(folder) if found[1].stat().st_mtime <= old_s]
    if not old:
        return []
    covered = old[-1][0]
    numbers = entry_numbers(folder)
    entries = [n for n in numbers if n <= covered and n != numbers[-1]]
    return [entry_path(folder, n) for n in entries] + [path for _, path in old[:-1]]
