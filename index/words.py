"""Passages found by words: BM25 over the live passages of a kind, whatever files they are cut into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import SnapshotError
from core.stop import require_wanted
from core.types import Float64Array, IntArray
from index.lexical import ORIGINS, About, Words
from index.live import Lines, are_set, open_numbers, pack
from index.part import Bits
from index.passages import numbers_of
from index.terms import Term, Terms

K1, B = 1.2, 0.75
# Words of which more passages than these have each say little: they are not asked for where others are.
COMMON_SHARE, COMMON_LEAST = 0.1, 20

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Told:
    """A passage that was found."""

    source: str
    start: float
    end: float
    score: float
    origin: str
    number: int  # made of its text
    file: Words
    row: int

    @property
    def text(self) -> str:
        """As it stands, from the file."""
        return self.file.text(self.row)


@dataclass(frozen=True)
class LiveWords:
    """A file of words, the line of sources.arrow of each of its runs (-1: dead), and what to look at."""

    part: Words
    numbers: Lines
    live: int
    length: int  # tokens of what lives
    kept: Bits | None = None  # None: all that lives
    # What lives, worked out once for this and for all that are narrowed from it.
    _known: dict[str, Mask] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        parts: Path,
        snapshot: Path,
        held: Mapping[str, Any],
        stamps: Mapping[str, Mapping[str, Any]],
        sources: int,
        beside: int = 1,
    ) -> LiveWords:
        """Map a file and what the snapshot says of it, or SnapshotError. sources: lines of sources.arrow;
        beside: files of the snapshot."""
        words = Words.open(parts, About.read(held["name"], held), beside)
        numbers = open_numbers(snapshot / numbers_of(words.about.name), stamps, sources)
        return cls(words, numbers, held["live"], held["length"])

    @property
    def about(self) -> About:
        return self.part.about

    @property
    def _lives(self) -> Mask | None:
        """Which passages live; None: all do."""
        if self.live == self.about.rows:
            return None
        if "lives" not in self._known:
            self._known["lives"] = self._spread(self.numbers >= 0, self.part.rows["source"])
        return self._known["lives"]

    def lines(self, rows: IntArray) -> IntArray:
        """The line of sources.arrow of each of these passages."""
        return self._spread(self.numbers, self.part.rows["source"][rows]).astype(np.int64)

    def spread(self, of_sources: Mask) -> Mask:
        """What holds of each source as what holds of each passage; False where one is dead."""
        return self._spread(np.append(of_sources, False)[self.numbers], self.part.rows["source"])

    def _spread(self, of_runs: np.ndarray[Any, Any], runs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        try:
            found: np.ndarray[Any, Any] = of_runs[runs]
        except IndexError as error:
            path = self.part.path
            raise SnapshotError(f"{path} is damaged: its passages are of runs that are not there.") from error
        return found

    def only(self, passages: Mask) -> LiveWords:
        """The same, looking at those passages alone for which this is True."""
        bits = pack(passages)
        return replace(self, kept=bits if self.kept is None else self.kept & bits)

    def kept_of(self, rows: IntArray) -> IntArray:
        """Those of these passages that are looked at."""
        return rows if self.kept is None else rows[are_set(self.kept, rows)]

    def matching(self, term: Term) -> IntArray:
        """The live passages that have a term, looked at or not: a filter makes no word rare."""
        require_wanted()
        found = self.part.matching(term)
        lives = self._lives
        return found if lives is None else found[lives[found]]


def best(
    files: Sequence[LiveWords], asked: Terms, k: int, some: bool, id_of: Callable[[int], str]
) -> tuple[list[Told], bool]:
    """The k best passages of files of one kind, and whether there are no others. First come those that have
    all words but the common ones; with `some` after them those that have one of these, and without it names
    that have nothing but common ones are none. What two tracks say alike at one time is one."""
    live = sum(file.live for file in files)
    if not asked or not live:
        return [], True
    every = [*asked.quoted, *asked.bare, *([asked.whole] if asked.whole else [])]
    posted = [[file.matching(term) for term in every] for file in files]
    counts = np.array([[len(rows) for rows in of_file] for of_file in posted]).sum(axis=0)
    common = max(COMMON_SHARE * live, COMMON_LEAST)
    are_common = counts[: len(asked.quoted) + len(asked.bare)] > common
    if not some and files[0].about.kind == "names" and are_common.all():
        return [], True  # such as the name of the folder that holds everything: it tells none apart
    plan = _Plan.of(asked, counts, live, common, sum(file.length for file in files) / live)
    found = _Found.join(
        [plan.found(file, *each, some) for file, each in enumerate(zip(files, posted, strict=True))]
    )
    most = 2 * k
    while True:
        top = found.cut(most)
        order = top.ordered(files)
        is_whole = len(top.row) == len(found.row)
        if len(order) >= k or is_whole:
            return [top.told(files, i, id_of) for i in order[:k].tolist()], is_whole and len(order) <= k
        most *= 4


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a passage must have, and what each term is worth; numbers of terms in their order."""

    quoted: tuple[int, ...]
    rare: tuple[int, ...]  # bare words that are not common
    worth: Float64Array
    average: float  # tokens of a passage

    @classmethod
    def of(cls, asked: Terms, counts: IntArray, live: int, common: float, average: float) -> _Plan:
        bare = range(len(asked.quoted), len(asked.quoted) + len(asked.bare))
        rare = tuple(number for number in bare if counts[number] <= common)
        worth = np.log1p((live - counts + 0.5) / (counts + 0.5))
        return cls(
            tuple(range(len(asked.quoted))), rare or (() if asked.quoted else tuple(bare)), worth, average
        )

    def found(self, number: int, file: LiveWords, posted: Sequence[IntArray], some: bool) -> _Found:
        """What a file has of it. A word counts once a passage."""
        must = [posted[term] for term in self.quoted]
        rows = whole = _in_all([*must, *(posted[term] for term in self.rare)])
        if some and self.rare:
            rows = _in_all([_in_any([posted[term] for term in self.rare], file.about.rows), *must])
        rows = file.kept_of(rows)
        lengths = file.part.rows["length"][rows]
        worth = np.zeros(len(rows))
        for term, of_term in zip(self.worth.tolist(), posted, strict=True):
            worth += term * _are_in(rows, of_term)
        score = worth * (K1 + 1) / (1 + K1 * (1 - B + B * lengths / self.average))
        return _Found(np.full(len(rows), number), rows, score, _are_in(rows, whole))


@dataclass(frozen=True, slots=True)
class _Found:
    """Passages as arrays of one length."""

    file: IntArray
    row: IntArray
    score: Float64Array
    has_all: Mask

    @classmethod
    def join(cls, found: Sequence[_Found]) -> _Found:
        columns = ([getattr(each, name) for each in found] for name in ("file", "row", "score", "has_all"))
        return cls(*map(np.concatenate, columns))

    def cut(self, most: int) -> _Found:
        """The best ones, so many and all that are as good as the last of them, in no order."""
        if len(self.row) <= most:
            return self
        rank = self.score + 1e6 * self.has_all  # a hundred terms are worth less
        at = rank >= np.partition(rank, len(rank) - most)[-most]
        return _Found(self.file[at], self.row[at], self.score[at], self.has_all[at])

    def ordered(self, files: Sequence[LiveWords]) -> IntArray:
        """Best first, equal ones by source, time and text; what is said alike at one time once."""
        pairs = [(files[number], self.row[self.file == number]) for number in range(len(files))]
        records = np.concatenate([file.part.records(rows) for file, rows in pairs])
        line = np.concatenate([file.lines(rows) for file, rows in pairs])
        said = (records["number"], np.rint(records["start"] * 1000), line)  # alike: of equal score as well
        others = (records["origin"], records["end"], records["start"])
        order = np.lexsort((*others, *said, -self.score, ~self.has_all))
        is_new = np.ones(len(order), np.bool_)
        if len(order):
            ordered = [column[order] for column in said]
            is_new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in ordered])
        kept: IntArray = order[is_new]
        return kept

    def told(self, files: Sequence[LiveWords], at: int, id_of: Callable[[int], str]) -> Told:
        """One of them with all that is known of it."""
        number, row = int(self.file[at]), int(self.row[at])
        file = files[number]
        record = file.part.rows[row]
        origin = ORIGINS[min(int(record["origin"]), len(ORIGINS) - 1)]
        times = float(record["start"]), float(record["end"])
        source = id_of(int(file.numbers[record["source"]]))
        return Told(source, *times, float(self.score[at]), origin, int(record["number"]), file.part, row)


def _in_all(posted: Sequence[IntArray]) -> IntArray:
    """What is in all of these, which are sorted."""
    fewest, *others = sorted(posted, key=len)
    for each in others:
        fewest = fewest[_are_in(fewest, each)]
    return fewest


def _in_any(posted: Sequence[IntArray], count: int) -> IntArray:
    if len(posted) == 1:
        return posted[0]
    is_there = np.zeros(count, np.bool_)
    for each in posted:
        is_there[each] = True
    found: IntArray = np.flatnonzero(is_there)
    return found


def _are_in(rows: IntArray, posted: IntArray) -> Mask:
    if not len(posted):
        return np.zeros(len(rows), np.bool_)
    found: Mask = posted[np.minimum(np.searchsorted(posted, rows), len(posted) - 1)] == rows
    return found
