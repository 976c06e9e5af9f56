"""A store of videos that say something, changed at random, and what a search by words must answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np

from core.log import Task
from core.store import Store
from core.types import Facts, Line, Place, Segment, Sidecar, Source, canonical
from core.writer import Writer, compact
from index.lexical import WordKind
from index.snapshot import Snapshot
from index.terms import Term, terms, tokens
from tests.index.worlds import DIM, make, source_id

WORDS = [
    "red",
    "blue",
    "sea",
    "truck",
    "night",
    *("the",) * 3,
    *("a",) * 2,
    "city",
    "東京",
    "猫",
    "naïve",
    "say",
]
Said = tuple[str, float, float, str]  # source, start, end, text


@dataclass
class Spoken:
    """The store and the truth."""

    store: Store
    chance: np.random.Generator
    lines: dict[str, dict[str, tuple[Line, ...]]] = field(default_factory=dict)  # by source and layer
    named: dict[str, tuple[str, str]] = field(default_factory=dict)  # path and title
    hidden: set[str] = field(default_factory=set)

    def add(self, count: int = 1, *lines: Line) -> None:
        """Some new videos in one commit, with these lines or any."""
        writer = Writer(self.store)
        for _ in range(count):
            source = source_id(len(self.lines) + 1)
            self.named[source] = f"{self.words(2)} {len(self.lines)}.mp4", self.words(2)
            self.lines[source] = {}
            self._tell(writer, source, lines or self.any_lines())
            rows = ([Segment(source, 0.0, 1.0)], np.ones((1, DIM), np.float32))
            writer.add(
                self._task(source),
                Source(source),
                {"frame": rows},
                Facts(seconds=9.0),
                columns=self._title(source),
            )
        writer.commit()

    def words(self, count: int) -> str:
        return " ".join(str(word) for word in self.chance.choice(WORDS, count))

    def any_lines(self) -> tuple[Line, ...]:
        count = int(self.chance.integers(0, 5))
        starts = sorted(self.chance.integers(0, 9, count).tolist())
        return tuple(
            Line(s, s + 1.0, self.words(int(self.chance.integers(1, 6)))) for s in map(float, starts)
        )

    def _tell(self, writer: Writer, source: str, lines: Sequence[Line], again: bool = False) -> None:
        self.lines[source]["subtitles"] = tuple(lines)
        writer.tell(source, "subtitles", tuple(lines), again=again)

    def _task(self, source: str, *beside: Sidecar) -> Task:
        path = self.named[source][0].encode()
        return Task(Place("films", path, "1", sidecars=beside), self.store.log.last().number)

    def _title(self, source: str) -> str:
        return canonical({"title": self.named[source][1]})

    def retell(self, source: str) -> None:
        """Other subtitles of the same video."""
        writer = Writer(self.store)
        self._tell(writer, source, self.any_lines(), again=True)
        writer.seen(self._task(source), source)
        writer.commit()

    def beside(self, source: str) -> None:
        """Another file of lines beside it, in place of the one before."""
        writer, lines = Writer(self.store), self.any_lines()
        sidecar = Sidecar(b"a.srt", "1", f"{int(self.chance.integers(1 << 60)):032x}")
        writer.tell(source, sidecar.layer, lines)
        writer.seen(self._task(source, sidecar), source)
        writer.commit()
        self.lines[source] = {"subtitles": self.lines[source]["subtitles"], sidecar.layer: lines}

    def rename(self, source: str, title: str) -> None:
        self.named[source] = self.named[source][0], title
        writer = Writer(self.store)
        writer.seen(self._task(source), source, columns=self._title(source))
        writer.commit()
        self.lines[source] = {"subtitles": self.lines[source]["subtitles"]}  # no sidecar was seen

    def hide(self, source: str, hide: bool = True) -> None:
        writer = Writer(self.store)
        (writer.removed if hide else writer.restored)(source, self.store.log.last().number)
        writer.commit()
        (self.hidden.add if hide else self.hidden.discard)(source)

    def step(self) -> None:
        """Something that people do."""
        live = sorted(set(self.lines) - self.hidden)
        source = str(self.chance.choice(live)) if live else ""
        match self.chance.integers(0, 7):
            case 1 if live:
                self.retell(source)
            case 2 if live:
                self.beside(source)
            case 3 if live:
                self.rename(source, self.words(2))
            case 4 if len(live) > 2:
                self.hide(source)
            case 5 if self.hidden:
                self.hide(sorted(self.hidden)[0], hide=False)
            case 6 if not self.hidden:
                compact(self.store, sorted(self.store.log.last().shards()))
            case _:
                self.add(int(self.chance.integers(1, 4)))

    def said(self, kind: WordKind = "lines") -> list[Said]:
        """Everything that lives, by source and time."""
        live = sorted(set(self.lines) - self.hidden)
        if kind == "names":
            names = ((source, *self.named[source]) for source in live)
            return [(s, 0.0, 0.0, text) for s, path, title in names for text in (f"films/{path}", title)]
        return [
            (source, line.start, line.end, line.text)
            for source in live
            for layer in self.lines[source].values()
            for line in layer
        ]


def spoken(root: Path, seed: int = 0) -> Spoken:
    return Spoken(make(root), np.random.default_rng(seed))


def lived_in(root: Path, seed: int = 0, steps: int = 12) -> Spoken:
    found = spoken(root, seed)
    found.add(4)
    for _ in range(steps):
        found.step()
    return found


def found_in(
    view: Snapshot, query: str, k: int = 1000, some: bool = True, kind: WordKind = "lines"
) -> list[Said]:
    told, _ = view.told(kind, terms(query), k, some=some)
    return [(t.source, t.start, t.end, t.text) for t in told]


def best(said: Sequence[Said], query: str, k: int = 1000, some: bool = True) -> list[Said]:
    """What a search must answer: BM25 of every passage, each word once, looked at one by one."""
    asked, count = terms(query), len(said)
    held = [tokens(text) for *_, text in said]
    average = sum(map(len, held)) / max(count, 1)
    every = [*asked.quoted, *asked.bare, *([asked.whole] if asked.whole else [])]
    has = {term: [_has(each, term) for each in held] for term in every}
    rare = [t for t in asked.bare if sum(has[t]) <= max(0.1 * count, 20)]
    rare = rare or ([] if asked.quoted else list(asked.bare))
    scored: dict[tuple[str, int, str], tuple[bool, float, Said]] = {}
    for n, passage in enumerate(said):
        has_all = all(has[t][n] for t in (*asked.quoted, *rare))
        has_some = all(has[t][n] for t in asked.quoted) and (not rare or any(has[t][n] for t in rare))
        if not (has_all or (some and has_some)):
            continue
        worth = sum(math.log1p((count - sum(has[t]) + 0.5) / (sum(has[t]) + 0.5)) for t in every if has[t][n])
        score = worth * 2.2 / (1 + 1.2 * (0.25 + 0.75 * len(held[n]) / average))
        key = passage[0], round(passage[1] * 1000), passage[3]
        scored.setdefault(key, (has_all, round(score, 9), passage))
    order = sorted(scored.values(), key=lambda row: (not row[0], -row[1], *_place(row[2])))
    return [passage for _, _, passage in order][:k]


def _place(said: Said) -> tuple[str, int, int]:
    return said[0], round(said[1] * 1000), crc32(said[3].encode())


def _has(held: Sequence[str], term: Term) -> bool:
    *first, last = term.tokens
    runs = (held[at : at + len(term.tokens)] for at in range(len(held) - len(first)))
    return any(
        run[:-1] == first and (run[-1].startswith(last) if term.is_prefix else run[-1] == last)
        for run in runs
    )
