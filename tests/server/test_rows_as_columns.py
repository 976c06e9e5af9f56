"""Moments of rows that are held as columns, beside the same made one row after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from core.query import Hits, Segments
from core.types import Segment
from index.moments import Moment, merge
from index.names import Names
from server.moments import chosen, moments_of
from server.ranking import Single

VIDEOS = [f"v-{number:02d}" for number in range(40)]


@dataclass(frozen=True)
class Row:
    """A hit."""

    source: str
    start: float
    end: float
    score: float


@dataclass
class Reader:
    """Names that count how often one is read."""

    read: int = 0

    def __call__(self, number: int) -> str:
        self.read += 1
        return VIDEOS[number]


def some_rows(chance: np.random.Generator, count: int, videos: int) -> list[Row]:
    """Best first, as a search has them: many of equal score, and many that begin or end together."""
    lines = chance.choice(len(VIDEOS), videos, replace=False)
    starts = chance.integers(-4, 30, count) / 2
    ends = starts + chance.choice([0.0, 0.5, 1.0, 4.0, 7.5], count)
    scores = chance.integers(-8, 24, count) / 64  # exact in float32
    rows = [
        Row(VIDEOS[line], start, end, score)
        for line, start, end, score in zip(
            chance.choice(lines, count).tolist(), starts.tolist(), ends.tolist(), scores.tolist(), strict=True
        )
    ]
    return sorted(rows, key=lambda row: (-row.score, row.source, row.start, row.end))


def by_lines(rows: Sequence[Row], name: Reader) -> Hits:
    """As a snapshot finds them."""
    lines = np.array([VIDEOS.index(row.source) for row in rows], np.int64)
    start, end = (np.array([getattr(row, at) for row in rows], float) for at in ("start", "end"))
    return Hits(Segments(Names(lines, name), start, end), scores_of(rows))


def by_names(rows: Sequence[Row]) -> Hits:
    return Hits([Segment(row.source, row.start, row.end) for row in rows], scores_of(rows))


def scores_of(rows: Sequence[Row]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array([row.score for row in rows], np.float32)


def slowly(rows: Sequence[Row], gap_s: float) -> list[Moment]:
    """One row after the other, as docs/http-api.md says it."""
    found: list[Moment] = []
    left = [*rows]
    while left:
        weakest, best = min(row.score for row in rows), dict[str, float]()
        for row in left:
            best[row.source] = max(best.get(row.source, row.score), row.score)
        strong = [row for row in left if row.score >= (best[row.source] + weakest) / 2]
        told = [*touching(strong, gap_s)]
        left = [row for row in left if row not in strong and not is_told(row, told)]
        found += told
    return sorted(found, key=lambda moment: (-moment.score, moment.source, moment.start))


def touching(rows: Sequence[Row], gap_s: float) -> Iterator[Moment]:
    moment: Moment | None = None
    for row in sorted(rows, key=lambda row: (row.source, row.start, row.end)):
        if moment and moment.source == row.source and row.start - moment.end <= gap_s:
            moment = replace(moment, end=max(moment.end, row.end), rows=moment.rows + 1)
            if row.score > moment.score:
                moment = replace(moment, score=row.score, best_start=row.start, best_end=row.end)
            continue
        if moment:
            yield moment
        moment = Moment(row.source, "clip", row.start, row.end, row.score, row.start, row.end)
    if moment:
        yield moment


def is_told(row: Row, moments: Sequence[Moment]) -> bool:
    """Whether the last moment that begins by the middle of a row holds half of it."""
    middle = (row.start + row.end) / 2
    before = [each for each in moments if each.source == row.source and each.start <= middle]
    return bool(before) and (
        min(row.end, before[-1].end) - max(row.start, before[-1].start) >= (row.end - row.start) / 2
    )


@pytest.mark.parametrize("gap_s", [-3.0, -0.5, 0.0, 0.5, 2.5])
def test_they_are_what_is_made_row_by_row(gap_s: float) -> None:
    chance = np.random.default_rng(11)
    for turn in range(80):
        rows = some_rows(chance, count=int(chance.integers(1, 90)), videos=1 + turn % 7)
        expected = slowly(rows, gap_s)
        found = moments_of(by_lines(rows, Reader()), "clip", gap_s)
        assert [*found] == expected
        assert [found[number] for number in range(-len(found), len(found))] == 2 * expected
        assert [*found[1:5]] == expected[1:5]
        assert [*moments_of(by_names(rows), "clip", gap_s)] == expected
        joined = sorted(touching(rows, gap_s), key=lambda m: (-m.score, m.source, m.best_start))
        assert [*merge(by_lines(rows, Reader()), "clip", gap_s)] == joined


def test_a_row_alone_and_none() -> None:
    row = Row("v-07", 3.0, 4.5, 0.25)
    assert [*moments_of(by_lines([row], Reader()), "clip", 0.0)] == slowly([row], 0.0)
    for gap_s in (None, 0.0):
        assert [*moments_of(by_lines([], Reader()), "clip", gap_s)] == []


def test_rows_that_are_never_merged_stay_in_their_order() -> None:
    rows = some_rows(np.random.default_rng(12), 50, 4)
    found = moments_of(by_lines(rows, Reader()), "frame", None)
    assert [Row(m.source, m.start, m.end, m.score) for m in found] == rows
    assert {(m.kind, m.rows) for m in found} == {("frame", 1)}


def test_rows_that_were_chosen_are_named_as_before() -> None:
    rows = some_rows(np.random.default_rng(13), 30, 5)
    numbers = [3, 4, 11, 29]
    few = [rows[number] for number in numbers]
    assert [*chosen(by_lines(rows, Reader()), numbers).segments] == [*by_names(few).segments]
    assert [*chosen(by_names(rows), numbers).segments] == [*by_names(few).segments]


def test_only_what_is_shown_is_named() -> None:
    name = Reader()
    found = moments_of(by_lines(some_rows(np.random.default_rng(14), 200, 30), name), "clip", 0.0)
    page = [*Single(found)[10:][:5]]
    assert name.read == 5
    assert page == [[moment] for moment in [*found][10:15]] == [Single(found)[n] for n in range(10, 15)]
