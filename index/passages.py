"""What of a store is found by its words, and the files of words that a snapshot has: kept, merged, made."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from core import files, npy
from core.errors import SnapshotError
from core.lines import origin_of
from core.rules import LiveSource
from index import lexical
from index.lexical import About, Passage, WordKind, Words
from index.live import Lines
from index.part import MOST_DEAD, Run, cut
from index.rows import View
from index.sources import Known

log = logging.getLogger(__name__)

FILE_ROWS = 1 << 20
MOST_FILES = 16  # of a kind: each is asked for every word
_ORIGINS = {"subtitles": "subtitles", "sidecar": "subtitles", "captions": "captions"}


@dataclass(frozen=True)
class Kept:
    """A file with the line of sources.arrow of each of its runs, -1 where it is dead."""

    about: About
    runs: tuple[Run, ...]
    numbers: Lines

    @cached_property
    def live(self) -> int:
        """Passages that live."""
        return sum(run.count for run, line in zip(self.runs, self.numbers, strict=True) if line >= 0)


def write(
    folder: Path,
    view: View,
    known: Mapping[str, Known],
    before: Sequence[About],
    most_dead: float = MOST_DEAD,
) -> list[dict[str, Any]]:
    """Make what no file of `before` has, and write which passages live; what snapshot.json says of it."""
    held: list[dict[str, Any]] = []
    parts = view.store.root / "parts"
    for kind in lexical.WORD_KINDS:
        said = _Said(view, known, kind)
        good = _good(said, parts, [about for about in before if about.kind == kind], most_dead)
        for each in [*good, *_missing(said, parts, good)]:
            npy.write(folder / numbers_of(each.about.name), [each.numbers])
            held.append(each.about.to_json() | {"live": each.live, "length": _length(parts, each)})
    return held


def numbers_of(name: str) -> str:
    """What a snapshot's file about a file of words is called."""
    return f"{name}.numbers.npy"


def _length(parts: Path, kept: Kept) -> int:
    """The tokens of what lives."""
    rows = Words.open(parts, kept.about).rows
    return int(rows["length"][kept.numbers[rows["source"]] >= 0].sum())


def _good(said: _Said, parts: Path, before: Sequence[About], most_dead: float) -> list[Kept]:
    """Files to take over: mostly alive, and not the smallest of too many."""
    found = (_looked_at(said, parts, about) for about in before)
    good = [each for each in found if each and each.live >= max(1, (1 - most_dead) * each.about.rows)]
    if len(good) <= MOST_FILES:
        return good
    small = sorted((k for k in good if k.live <= FILE_ROWS // 2), key=lambda k: k.live)
    merged = {kept.about.name for kept in small[: MOST_FILES // 2]}
    return [kept for kept in good if kept.about.name not in merged]


def _looked_at(said: _Said, parts: Path, about: About) -> Kept | None:
    try:
        source = Words.open(parts, about).rows["source"]
        runs = tuple(lexical.runs_of(parts, about))
        if len(source) and not 0 <= source.min() <= source.max() < len(runs):
            raise SnapshotError(f"{about.name}.lines.npy is damaged: a passage is of no run.")
    except SnapshotError as error:
        log.warning("words=%s is made anew: %s", about.name, error)
        return None
    return Kept(about, runs, said.numbers(runs))


def _missing(said: _Said, parts: Path, kept: Sequence[Kept]) -> Iterator[Kept]:
    """New files of the live passages that are in none."""
    have = {
        (run.source, run.layer)  # of which each lives in one shard
        for each in kept
        for run, line in zip(each.runs, each.numbers.tolist(), strict=True)
        if line >= 0
    }
    for runs in cut(said.runs(have), FILE_ROWS):
        about = lexical.make(parts, said.kind, runs, said.passages(runs))
        yield Kept(about, tuple(runs), said.numbers(runs))


@dataclass(frozen=True)
class _Said:
    """The passages of one kind in a view. Lines are runs of a shard; names and texts of none, and of a layer
    that is named by what they say, so that they live while it is still said."""

    view: View
    known: Mapping[str, Known]
    kind: WordKind

    def runs(self, have: Collection[tuple[str, str]]) -> Iterator[Run]:
        """Of all that lives and is not there yet."""
        if self.kind == "lines":
            yield from (run for run in self.view.line_runs() if (run.source, run.layer) not in have)
            return
        for id, layer in self._layers.items():
            if (id, layer) not in have:
                count = len(self._of(self.view.live[self.view.lines[id]]))
                yield Run(id, layer, "", -1, 0, count)

    def numbers(self, runs: Sequence[Run]) -> Lines:
        """The line of each run's source, -1 where it does not live."""
        is_live = self.view.is_live if self.kind == "lines" else self._is_said
        return np.array([self.view.lines[run.source] if is_live(run) else -1 for run in runs], "<i4")

    def _is_said(self, run: Run) -> bool:
        return self._layers.get(run.source) == run.layer

    @cached_property
    def _layers(self) -> dict[str, str]:
        said = ((source.id, self._of(source)) for source in self.view.live)
        return {id: _layer(self.kind, passages) for id, passages in said if passages}

    def _of(self, source: LiveSource) -> list[Passage]:
        if self.kind == "names":
            return _names(source)
        text = self.known[source.id].text if source.id in self.known else ""
        return [Passage("text", text)] if text else []

    def passages(self, runs: Sequence[Run]) -> Iterator[list[Passage]]:
        """What each of these runs says."""
        if self.kind != "lines":
            lines = self.view.lines
            yield from (self._of(self.view.live[lines[run.source]]) for run in runs)
            return
        for shard, of_shard in groupby(runs, key=lambda run: run.shard):
            yield from self._lines(shard, list(of_shard))

    def _lines(self, shard: str, runs: Sequence[Run]) -> Iterator[list[Passage]]:
        held = self.view.store.shard(shard).lines()
        for run in runs:
            at, origin = slice(run.first, run.first + run.count), _ORIGINS[origin_of(run.layer)]
            columns = held.text[at].to_pylist(), held.start[at].tolist(), held.end[at].tolist()
            yield [Passage(origin, *values) for values in zip(*columns, strict=True)]


def _layer(kind: WordKind, passages: Sequence[Passage]) -> str:
    said = "\0".join(f"{passage.origin}\0{passage.text}" for passage in passages)
    return f"{kind}:{files.hash_bytes(said.encode())}"


def _names(source: LiveSource) -> list[Passage]:
    """A video's title, where a column of the user's says one, and its places."""
    if source.id.startswith("t-"):
        return []
    called = [Passage("title", _clean(title)) for title in titles(source.columns.get("title"))]
    return [*called, *(Passage("path", path) for path in sorted({_clean(p.shown) for p in source.places}))]


def titles(told: Any) -> list[str]:
    """As people write them: there are films that are called 1984."""
    several = told if isinstance(told, list) else [told]
    texts = (str(each) for each in several if type(each) in (str, int, float))
    return [text for text in texts if text.strip()]


def _clean(text: str) -> str:
    """With U+FFFD for what is no Unicode."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
