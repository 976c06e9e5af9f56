"""What words mean: pure functions over log entries. docs/store-format.md numbers the rules."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal, Protocol

from core.sidecars import is_sidecar, seen_of
from core.types import Layer, Place, Sidecar, canonical

PlaceVerb = Literal["done", "failed", "skipped", "gone"]
SourceVerb = Literal["removed", "restored"]
EMBEDDED: tuple[Layer, ...] = ("visual", "text")  # a source has rows if it has rows of one of these


@dataclass(frozen=True, slots=True)
class Word:
    """What was said of a place, or of a source."""

    word: PlaceVerb | SourceVerb
    root: str = ""
    path: bytes = b""
    stamp: str = ""
    source: str = ""
    error: str = ""  # failed: why; skipped: "not_video" or "still"
    columns: str | None = None  # the user's columns, one canonical JSON object; None: those it had
    sidecars: tuple[Sidecar, ...] = ()  # done: what lay beside it and was read

    @property
    def about_place(self) -> bool:
        return self.word not in ("removed", "restored")

    @property
    def place(self) -> Place:
        return Place(self.root, self.path, self.stamp, sidecars=self.sidecars)


@dataclass(frozen=True, slots=True)
class Said:
    """A word and the entry that said it."""

    word: Word
    entry: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A word a writer wants to say, and the entry up to which it had read when it began."""

    word: Word
    since: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit: words, and perhaps a shard with the layers it holds and the shards it replaces."""

    number: int
    words: tuple[Word, ...] = ()
    shard: str = ""
    manifest: str = ""
    holds: tuple[tuple[str, Layer], ...] = ()
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Winner:
    """Whose rows of a source's layer count."""

    source: str
    layer: Layer
    shard: str


@dataclass(frozen=True, slots=True)
class LiveSource:
    """A source to be found: its live places, and the columns they give it together."""

    id: str
    places: tuple[Place, ...]
    columns: Mapping[str, Any]

    def has_layer(self, layer: Layer) -> bool:
        """Whether rows and lines of a layer are found with it: a sidecar's while a live place names it."""
        return not is_sidecar(layer) or layer in (s.layer for p in self.places for s in p.sidecars)


class Base(Protocol):
    """Everything up to an entry, in one piece: a checkpoint."""

    @property
    def number(self) -> int: ...
    @property
    def has_columns(self) -> bool: ...
    def entry_of(self, key: int) -> int: ...
    def said(self, key: int) -> Said | None: ...
    def said_of_places(self, keys: Collection[int]) -> Mapping[int, Said]: ...
    def stamped(self, stamp: str) -> Iterator[tuple[int, Said]]: ...
    def all_said(self) -> Iterator[tuple[int, Said]]: ...
    def saying(self, verb: PlaceVerb, after: int) -> Iterator[tuple[int, Said]]: ...
    def naming(self, source: str) -> Iterator[tuple[int, Said]]: ...
    def done_sources(self, without: Collection[int]) -> set[str]: ...
    def with_sidecars(self) -> Iterator[tuple[int, Word]]: ...
    def source_words(self) -> Mapping[str, Said]: ...
    def won(self, source: str) -> Sequence[Winner]: ...
    def winners(self) -> Iterator[Winner]: ...


def key_of(text: str) -> int:
    """64 bits that stand for a source's id or a stamp in sorted arrays."""
    return int.from_bytes(blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest(), "little")


def place_key(root: str, path: bytes) -> int:
    """64 bits that stand for a place."""
    data = root.encode(errors="surrogateescape") + b"\0" + path
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


class LastWords:
    """What is true as of one entry: the fold of all entries up to it. Never changed once handed out."""

    def __init__(self, base: Base | None = None) -> None:
        self.base = base
        self.number = base.number if base else 0
        self.fresh: dict[int, Said] = {}  # last words of places since the base
        self._sources: dict[str, Said] = dict(base.source_words()) if base else {}
        self._won: dict[tuple[str, Layer], str] = {}  # "" where nothing wins any more
        self._replaced: set[str] = set()

    def after(self, entries: Iterable[Entry]) -> LastWords:
        """A new view with these entries applied; itself where there are none."""
        view = self
        for entry in entries:
            if view is self:
                view = self._copy()
            view._apply(entry)
        return view

    def _copy(self) -> LastWords:
        view = object.__new__(LastWords)  # without what was worked out, and without reading the base again
        view.base, view.number, view.fresh = self.base, self.number, dict(self.fresh)
        view._sources, view._won = dict(self._sources), dict(self._won)
        view._replaced = set(self._replaced)
        return view

    def _apply(self, entry: Entry) -> None:
        # What the replaced shards had won is deleted first; what has lost never wins again.
        if entry.replaces:
            lost = set(entry.replaces)
            self._replaced |= lost
            self._won |= {pair: "" for pair, shard in self._won.items() if shard in lost}
        self._won |= {pair: entry.shard for pair in entry.holds}
        for word in entry.words:
            if word.about_place:
                self.fresh[place_key(word.root, word.path)] = Said(word, entry.number)
            else:
                self._sources[word.source] = Said(word, entry.number)
        self.number = entry.number

    def said(self, root: str, path: bytes) -> Said | None:
        """The last word about a place."""
        key = place_key(root, path)
        found = self.fresh.get(key)
        return found if found or self.base is None else self.base.said(key)

    def said_of_places(self, keys: Collection[int]) -> dict[int, Said]:
        """The last words about many places, by their keys: much faster than one by one."""
        found = {key: self.fresh[key] for key in keys if key in self.fresh}
        old = [key for key in keys if key not in found]
        return found | dict(self.base.said_of_places(old)) if self.base and old else found

    def place(self, place: Place) -> Word | None:
        """The last word about a place, without its entry."""
        found = self.said(place.root, place.path)
        return found.word if found else None

    def entry_of(self, root: str, path: bytes) -> int:
        """The entry of the last word about a place, 0 where there is none. Reads no file."""
        key = place_key(root, path)
        found = self.fresh.get(key)
        return found.entry if found else self.base.entry_of(key) if self.base else 0

    def source_words(self) -> Mapping[str, Said]:
        """The last word of every source that has one of its own."""
        return self._sources

    @property
    def replaced(self) -> Collection[str]:
        """Shards that were replaced since the base."""
        return self._replaced

    @cached_property
    def touched_sources(self) -> dict[int, bool]:
        """By key: whether a source has rows, for every source whose rows changed since the base."""
        return {key_of(source): self.has_rows(source) for source, _ in self._won}

    @cached_property
    def removed_keys(self) -> set[int]:
        """The keys of all removed sources."""
        return {key_of(source) for source in self.removed()}

    @cached_property
    def has_columns(self) -> bool:
        """Whether any place has columns of the user's."""
        return bool(self.base and self.base.has_columns) or any(
            said.word.columns for said in self.fresh.values()
        )

    def said_of(self, source: str) -> Said | None:
        """The last word about a source."""
        return self._sources.get(source)

    def is_removed(self, source: str) -> bool:
        """Whether the source's last word is `removed`."""
        found = self._sources.get(source)
        return found is not None and found.word.word == "removed"

    def removed(self) -> set[str]:
        """Every source that is removed."""
        return {source for source in self._sources if self.is_removed(source)}

    def shard_of(self, source: str, layer: Layer) -> str:
        """The shard whose rows of this layer count, or ""."""
        if (source, layer) in self._won:
            return self._won[source, layer]
        for winner in self.base.won(source) if self.base else ():
            if winner.layer == layer and winner.shard not in self._replaced:
                return winner.shard
        return ""

    def has_rows(self, source: str) -> bool:
        """Whether the source has rows of layer visual or text, in a shard that counts."""
        return any(self.shard_of(source, layer) for layer in EMBEDDED)

    def winners(self) -> Iterator[Winner]:
        """Which shard's rows count, for every source and layer that has any."""
        for winner in self.base.winners() if self.base else ():
            if (winner.source, winner.layer) not in self._won and winner.shard not in self._replaced:
                yield winner
        for (source, layer), shard in self._won.items():
            if shard:
                yield Winner(source, layer, shard)

    def shards(self) -> set[str]:
        """The shards that some row counts in."""
        return {winner.shard for winner in self.winners()}

    def all_said(self) -> Iterator[tuple[int, Said]]:
        """The last word of every place, by its key."""
        for key, found in self.base.all_said() if self.base else ():
            if key not in self.fresh:
                yield key, found
        yield from self.fresh.items()

    def words(self) -> Iterator[Word]:
        """The last word of every place."""
        return (found.word for _, found in self.all_said())

    def live_ids(self) -> set[str]:
        """The sources that some live place names and that are not removed."""
        found = self.base.done_sources(self.fresh.keys()) if self.base else set()
        found |= {said.word.source for said in self.fresh.values() if said.word.word == "done"}
        return found - self.removed()

    def with_sidecars(self) -> Iterator[Word]:
        """The last words of places that name any."""
        held = self.base.with_sidecars() if self.base else ()
        yield from (word for key, word in held if key not in self.fresh)
        yield from (said.word for said in self.fresh.values() if said.word.sidecars)

    def live(self) -> Iterator[LiveSource]:
        """Every live source by its id, with its places and the columns they give it."""
        holders: dict[str, list[Said]] = {}
        for _, said in self.all_said():
            if said.word.word == "done" and not self.is_removed(said.word.source):
                holders.setdefault(said.word.source, []).append(said)
        for source in sorted(holders):
            found = sorted(holders[source], key=_by_entry)
            yield LiveSource(source, tuple(said.word.place for said in found), _merged(found))

    def columns_of(self, source: str) -> str | None:
        """What a new place of a known content begins with: the columns of its live places."""
        if not self.has_columns:
            return None
        held = self.base.naming(source) if self.base else ()
        found = [said for key, said in held if key not in self.fresh] + self._fresh_naming.get(source, [])
        merged = _merged(sorted(found, key=_by_entry))
        return canonical(merged) if merged else None

    @cached_property
    def _fresh_naming(self) -> dict[str, list[Said]]:
        naming: dict[str, list[Said]] = {}
        for said in self.fresh.values():
            if said.word.word == "done":
                naming.setdefault(said.word.source, []).append(said)
        return naming


def _by_entry(said: Said) -> tuple[int, str, bytes]:
    return said.entry, said.word.root, said.word.path


def _merged(found: Sequence[Said]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for said in found:
        if said.word.columns:
            merged |= json.loads(said.word.columns)
    return merged


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run wants done again although its last word fits."""

    again: bool = False
    retry_failed: bool = False
    stills: bool = False


def fits(word: PlaceVerb | SourceVerb, why: str, has_rows: bool, is_removed: bool, wish: Wish) -> str:
    """Why a place whose stamp is the one last seen is not to do (rule 5), or "" if it is."""
    if word == "done" and not wish.again:
        return "removed" if is_removed else "already" if has_rows else ""
    if word == "failed" and not wish.retry_failed and not has_rows:
        return "failed_before"
    if word == "skipped" and not (wish.stills and why == "still"):
        return why
    return ""


def why_not(known: LastWords, place: Place, wish: Wish) -> str:
    """Why a place is not to do, or "" if it is (rule 5). `Log.todo` asks the same of many at once."""
    said = known.said(place.root, place.path)
    if said is None:
        return ""
    word, beside = said.word, place.sidecars if said.word.word == "done" else ()
    if seen_of(word.stamp, word.sidecars) != seen_of(place.stamp, beside):
        # The lines of a removed source are not kept: what lies beside it is read once it is back.
        is_same = word.word == "done" and word.stamp == place.stamp and not wish.again
        return "removed" if is_same and known.is_removed(word.source) else ""
    return fits(word.word, word.error, known.has_rows(word.source), known.is_removed(word.source), wish)


def settle(known: LastWords, claims: Iterable[Claim], own: Collection[str]) -> list[Word]:
    """The words that still hold as of `known` (rule 4); `own`: sources whose rows the writer brings."""
    claims = list(claims)
    said = known.said_of_places([key for claim in claims if (key := _asked(known, claim)) is not None])
    settled = (_settled(known, claim, own, said) for claim in claims)
    words = [word for word in settled if word is not None]
    back = {word.source for word in words if word.word == "restored"}
    # A removed source's place names no sidecars: their lines would be kept for nobody.
    return [
        replace(w, sidecars=()) if known.is_removed(w.source) and w.source not in back else w for w in words
    ]


def _asked(known: LastWords, claim: Claim) -> int | None:
    """The key of the place whose last word matters: another one spoke of it, or it may have columns."""
    word = claim.word
    if not word.about_place:
        return None
    is_newer = known.entry_of(word.root, word.path) > claim.since
    return place_key(word.root, word.path) if is_newer or known.has_columns else None


def _settled(
    known: LastWords, claim: Claim, own: Collection[str], of_places: Mapping[int, Said]
) -> Word | None:
    word = claim.word
    if not word.about_place:
        said = known.said_of(word.source)
        overtaken = word.word == "restored" and said and said.entry > claim.since
        return None if overtaken and said and said.word.word == "removed" else word
    said = of_places.get(place_key(word.root, word.path))
    if said and said.entry > claim.since and not _outranks(word, said.word):
        if word.columns is None or word.columns == said.word.columns:
            return None
        return replace(said.word, columns=word.columns)
    if word.word == "done" and not (
        known.is_removed(word.source) or word.source in own or known.has_rows(word.source)
    ):
        return None
    return word if word.columns is not None else replace(word, columns=_kept_columns(known, word, said))


def _outranks(word: Word, other: Word) -> bool:
    return word.word == "done" and other.word == "failed" and other.stamp == word.stamp


def _kept_columns(known: LastWords, word: Word, said: Said | None) -> str | None:
    if said:
        return said.word.columns
    if word.word == "done" and (known.has_rows(word.source) or known.is_removed(word.source)):
        return known.columns_of(word.source)
    return None  # a new content has no other place
