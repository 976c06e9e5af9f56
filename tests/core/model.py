"""A folder in memory, a clock, and people who add, copy, lose and remove files while several writers work.

Everything that decides is the real code of core.rules; only the disk and the time are played. Each actor is a
generator that stops after every step another process could see, so that any interleaving can be played, and a
crash is a generator that is never resumed.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from core.compaction import carried, named_pairs, unsaid
from core.rules import (
    Claim,
    Entry,
    LastWords,
    PlaceVerb,
    Said,
    Winner,
    Wish,
    Word,
    settle,
    why_not,
)
from core.sidecars import is_sidecar, named_by
from core.types import Place, Sidecar
from core.writer import Held, Pair, needed

DAY_H = 24.0
Step = Iterator[None]


class MemoryBase:
    """A checkpoint without a file."""

    def __init__(self, view: LastWords) -> None:
        self.number = view.number
        self.has_columns = view.has_columns
        self._said = dict(view.all_said())
        self._words = dict(view.source_words())
        self._won: dict[str, list[Winner]] = {}
        for winner in view.winners():
            self._won.setdefault(winner.source, []).append(winner)

    def entry_of(self, key: int) -> int:
        return self._said[key].entry if key in self._said else 0

    def said(self, key: int) -> Said | None:
        return self._said.get(key)

    def said_of_places(self, keys: Collection[int]) -> Mapping[int, Said]:
        return {key: self._said[key] for key in keys if key in self._said}

    def stamped(self, stamp: str) -> Iterator[tuple[int, Said]]:
        return ((key, said) for key, said in self._said.items() if said.word.stamp == stamp)

    def all_said(self) -> Iterator[tuple[int, Said]]:
        return iter(self._said.items())

    def saying(self, verb: PlaceVerb, after: int) -> Iterator[tuple[int, Said]]:
        return ((key, s) for key, s in self._said.items() if s.word.word == verb and s.entry > after)

    def naming(self, source: str) -> Iterator[tuple[int, Said]]:
        return ((key, s) for key, s in self._said.items() if (s.word.word, s.word.source) == ("done", source))

    def done_sources(self, without: Collection[int]) -> set[str]:
        kept = (said.word for key, said in self._said.items() if key not in without)
        return {word.source for word in kept if word.word == "done"}

    def with_sidecars(self) -> Iterator[tuple[int, Word]]:
        return ((key, said.word) for key, said in self._said.items() if said.word.sidecars)

    def source_words(self) -> Mapping[str, Said]:
        return self._words

    def won(self, source: str) -> Sequence[Winner]:
        return self._won.get(source, ())

    def winners(self) -> Iterator[Winner]:
        return (winner for found in self._won.values() for winner in found)


@dataclass
class World:
    """What is on the disk, and what a user did and may expect."""

    rng: Random
    clock_h: float = 0.0
    files: dict[bytes, tuple[str, int]] = field(default_factory=dict)  # path → content, version
    beside: dict[bytes, tuple[str, int]] = field(default_factory=dict)  # the same of its sidecar
    versions: int = 0
    disk: dict[int, tuple[Entry, float]] = field(default_factory=dict)
    checkpoints: list[tuple[int, LastWords, float]] = field(default_factory=list)
    shards: dict[str, tuple[frozenset[Pair], float]] = field(default_factory=dict)
    replaced_h: dict[str, float] = field(default_factory=dict)
    truth: LastWords = field(default_factory=LastWords)  # all entries that were really committed
    removed_at: dict[str, int] = field(default_factory=dict)
    restored: set[str] = field(default_factory=set)
    snapshots: list[tuple[int, frozenset[str]]] = field(default_factory=list)  # last entry covered, shards
    current: int = -1  # which of them is published
    is_locked: bool = False  # by a build or a gc

    def __post_init__(self) -> None:
        self._commit(Entry(1), ())

    # -- files ---------------------------------------------------------------------------------------------
    def change_files(self) -> None:
        """One thing a person does."""
        path = b"p%d" % self.rng.randrange(5)
        self.versions += 1
        if self.rng.random() < 0.3:
            return self.change_sidecar(path)
        act = self.rng.randrange(6)
        if act <= 1 or path not in self.files:
            content = self.rng.choice(["v-a", "v-b", "v-c", "v-d", "bad"])
            self.files[path] = content, self.versions
        elif act == 2:
            del self.files[path]
        elif act == 3:  # touched
            self.files[path] = self.files[path][0], self.versions
        else:  # copied, or renamed
            content = self.files[path][0] if act == 4 else self.files.pop(path)[0]
            self.files[b"p%d" % self.rng.randrange(5)] = content, self.versions

    def change_sidecar(self, path: bytes) -> None:
        """One appears, changes, is touched or goes, whether its video is there or not."""
        act = self.rng.randrange(4)
        if act == 0:
            self.beside.pop(path, None)
        elif act == 1 and path in self.beside:
            self.beside[path] = self.beside[path][0], self.versions
        else:
            self.beside[path] = self.rng.choice(["x", "y"]), self.versions

    def listed(self, path: bytes) -> Place:
        """As a listing shows it."""
        held = self.beside.get(path)
        mine = (Sidecar(path + b".srt", str(held[1])),) if held else ()
        return Place("r", path, str(self.files[path][1]), sidecars=mine)

    def read_beside(self, place: Place) -> tuple[Sidecar, ...]:
        """What was listed and is still the same."""
        content, version = self.beside.get(place.path, ("", 0))
        return tuple(replace(s, hash=content) for s in place.sidecars if s.stamp == str(version))

    # -- the log -------------------------------------------------------------------------------------------
    def read(self, known: LastWords) -> LastWords:
        """As Log.last."""
        newest = max(self.checkpoints, key=lambda c: c[0], default=None)
        if newest and newest[0] > known.number:
            known = LastWords(MemoryBase(newest[1]))
        while known.number + 1 in self.disk:
            known = known.after([self.disk[known.number + 1][0]])
        return known

    def append(self, entry: Entry, claims: Sequence[Claim]) -> Iterator[bool | None]:
        """As Log.append: None is a step others can see, the last value says whether it is committed."""
        if entry.number in self.disk:
            yield False
            return
        true = self._commit(entry, claims)
        yield None
        covered = max((c[0] for c in self.checkpoints), default=0)
        if entry.number - 1 not in self.disk and covered >= entry.number:
            self.disk.pop(entry.number, None)
            yield False
            return
        assert true, "an entry written in the past was kept"
        yield True

    def _commit(self, entry: Entry, claims: Sequence[Claim]) -> bool:
        self.disk[entry.number] = entry, self.clock_h
        if entry.number != self.truth.number + 1:
            return False
        before, self.truth = self.truth, self.truth.after([entry])
        if entry.replaces:
            kept = {source for source, _ in entry.holds}
            assert kept <= before.live_ids(), "a compaction kept dead rows or lines"
            kept_beside = {pair for pair in entry.holds if is_sidecar(pair[1])}
            assert kept_beside <= named_pairs(before), "a compaction kept lines that nothing names"
        self._check_words(before, entry, claims)
        for shard in entry.replaces:
            self.replaced_h[shard] = self.clock_h
        for source in self.truth.live_ids():
            shard = self.truth.shard_of(source, "visual")
            assert shard or source in self.restored, f"{source} is live without rows"
            assert not shard or (source, "visual") in self.shards[shard][0], f"{source} is not where it won"
        for source, layer in named_pairs(self.truth):
            shard = self.truth.shard_of(source, layer)
            assert shard, f"{layer} of {source} is named and has no lines"
            assert (source, layer) in self.shards[shard][0], f"{layer} of {source} is not where it won"
        return True

    def _check_words(self, before: LastWords, entry: Entry, claims: Sequence[Claim]) -> None:
        for word in entry.words:
            if word.word == "removed":
                self.removed_at[word.source] = entry.number
            elif word.word == "restored":
                self.restored.add(word.source)
                since = max(c.since for c in claims if c.word == word)
                seen = since >= self.removed_at.get(word.source, 0)
                assert seen or not before.is_removed(word.source), "an unseen removal was undone"
            else:
                said = before.said(word.root, word.path)
                assert not said or int(said.word.stamp) <= int(word.stamp), "an older word won"
        for source, number in self.removed_at.items():
            said = self.truth.said_of(source)
            assert said and (said.word.word == "restored" or said.entry >= number)

    def check_readers(self, cached: LastWords) -> None:
        """A new reader, and one that had read long ago, see what was committed and nothing else."""
        for known in (self.read(LastWords()), self.read(cached)):
            assert known.number == self.truth.number
            assert dict(known.all_said()) == dict(self.truth.all_said())
            assert dict(known.source_words()) == dict(self.truth.source_words())
            assert set(known.winners()) == set(self.truth.winners())
            assert known.live_ids() == self.truth.live_ids()
            for winner in known.winners():
                assert winner.shard in self.shards, "gc took a shard that counts"
        if self.snapshots:
            assert self.snapshots[self.current][1] <= self.shards.keys(), "gc took what is published"

    # -- actors --------------------------------------------------------------------------------------------
    def extractor(self, *, again: bool = False, prune: bool = False) -> Step:
        """As `extract`: list, embed, commit now and then, prune last."""
        known = start = self.read(LastWords())
        claims: list[Claim] = []
        held: set[Pair] = set()
        listed: set[bytes] = set()
        for path in sorted(set(self.files)):
            if path not in self.files:
                continue
            listed.add(path)
            version, place = self.files[path][1], self.listed(path)
            yield
            if why_not(start, place, Wish(again=again)):
                continue
            content, now = self.files.get(path, ("", 0))
            if now != version:
                continue
            if content == "bad":
                claims.append(Claim(Word("failed", "r", path, place.stamp, error="bad"), start.number))
            else:
                if again and known.is_removed(content):
                    claims.append(Claim(Word("restored", source=content), start.number))
                if again or not (known.has_rows(content) or known.is_removed(content)):
                    held.add((content, "visual"))
                word = Word("done", "r", path, place.stamp, content, sidecars=self.read_beside(place))
                held |= named_by(word)
                claims.append(Claim(word, start.number))
            if self.rng.random() < 0.3:
                known = yield from self.write(known, claims, held, again)
                claims, held = [], set()
        if prune and listed:
            claims += [
                Claim(Word("gone", "r", word.path, str(self.versions)), start.number)
                for word in start.words()
                if word.word != "gone" and word.path not in listed and word.path not in self.files
            ]
        yield from self.write(known, claims, held, again)

    def write(
        self, known: LastWords, claims: Sequence[Claim], own: set[Pair], again: bool
    ) -> Generator[None, None, LastWords]:
        """As Writer.commit."""
        made, made_h, name = frozenset[Pair](), -DAY_H, ""
        rows = [Held(source, layer, {}, again=again) for source, layer in sorted(own)]
        while claims:
            known = self.read(known)
            words = settle(known, claims, {source for source, layer in own if layer == "visual"})
            if not words:
                break
            held = frozenset(h.pair for h in needed(known, words, rows))
            yield
            if held and not (made == held and self.clock_h - made_h < 1):
                made, made_h, name = held, self.clock_h, self._make(held)
                yield
                if self.clock_h - made_h >= 1:
                    continue
            entry = Entry(known.number + 1, tuple(words), name if held else "", "", tuple(sorted(held)))
            committed = None
            for committed in self.append(entry, claims):
                if committed is None:
                    yield
            if committed:
                break
        return known

    def _make(self, pairs: frozenset[Pair]) -> str:
        name = f"s{self.rng.getrandbits(60)}"
        self.shards[name] = pairs, self.clock_h
        return name

    def remover(self) -> Step:
        """As `cinedex remove`, sometimes with --undo."""
        known = self.read(LastWords())
        yield
        source = self.rng.choice(["v-a", "v-b", "v-c", "v-d"])
        word = Word("restored" if known.is_removed(source) else "removed", source=source)
        yield from self.write(known, [Claim(word, known.number)], set(), False)

    def compactor(self) -> Step:
        """As core.writer.compact."""
        known = self.read(LastWords())
        shards = [s for s in sorted(known.shards()) if self.rng.random() < 0.7]
        made, made_h, name = frozenset[Pair](), -DAY_H, ""
        yield
        while ending := [s for s in shards if s not in known.replaced]:
            known = self.read(known)
            pairs = frozenset(carried(known, ending))
            if pairs and not (pairs <= made and self.clock_h - made_h < 1):
                if any(s not in self.shards for s in ending):
                    return  # a StoreError: its shards were compacted and swept meanwhile
                assert pairs <= {pair for shard in ending for pair in self.shards[shard][0]}
                made, made_h, name = pairs, self.clock_h, self._make(pairs)
                yield
                if self.clock_h - made_h >= 1:
                    continue
            words, shard = unsaid(known, ending), name if pairs else ""
            entry = Entry(known.number + 1, words, shard, "", tuple(sorted(pairs)), tuple(ending))
            committed = None
            for committed in self.append(entry, ()):
                if committed is None:
                    yield
            if committed:
                return

    def checkpointer(self) -> Step:
        known = self.read(LastWords())
        yield
        if known.number > max((c[0] for c in self.checkpoints), default=0):
            self.checkpoints.append((known.number, known, self.clock_h))

    def locked(self, act: Step) -> Step:
        """As files.locked: one at a time, and a crash ends it."""
        while self.is_locked:
            yield
        self.is_locked = True
        try:
            yield from act
        finally:
            self.is_locked = False

    def builder(self) -> Step:
        """As `cinedex index build`."""
        known = self.read(LastWords())
        yield
        live = known.live_ids()
        shards = frozenset(winner.shard for winner in known.winners() if winner.source in live)
        assert shards <= self.shards.keys(), "a build finds no rows"
        yield
        self.snapshots.append((known.number, shards))
        yield
        if self.current < 0 or self.snapshots[self.current][0] <= known.number:
            self.current = len(self.snapshots) - 1

    def collector(self) -> Step:
        """As `cinedex index gc`: ages are as of the moment before it read, for it may sleep as well."""
        before_h = self.clock_h
        kept = {shard for _, shards in self.snapshots[-3:] for shard in shards}
        if self.snapshots:
            kept |= self.snapshots[self.current][1]
        known = self.read(LastWords())
        yield
        old = [c for c in self.checkpoints if before_h - c[2] >= DAY_H]
        if old:
            covered, highest = max(c[0] for c in old), max(self.disk, default=0)
            self.checkpoints = [c for c in self.checkpoints if c not in old or c[0] == covered]
            for number in sorted(n for n in self.disk if n <= covered and n != highest):
                self.disk.pop(number, None)
                yield
        counts = known.shards() | kept
        for shard, (_, made_h) in list(self.shards.items()):
            last_h = max(made_h, self.replaced_h.get(shard, 0.0))
            if shard not in counts and before_h - last_h >= DAY_H:
                self.shards.pop(shard, None)
                yield
