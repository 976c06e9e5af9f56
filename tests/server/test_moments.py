"""Which rows become one moment."""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.query import Hits
from core.types import Segment
from server.moments import moments_of

Row = tuple[str, float, float, float]  # source, start, end, score


def told(rows: list[Row], gap_s: float | None = 0.0) -> list[Row]:
    ordered = sorted(rows, key=lambda row: (-row[3], row[0], row[1]))
    scores = np.array([score for *_, score in ordered], np.float32)
    hits = Hits([Segment(source, start, end) for source, start, end, _ in ordered], scores)
    found = moments_of(hits, "clip", gap_s)
    return [(m.source, m.start, m.end, round(m.score, 3)) for m in found]


FAR: Row = ("z", 0, 8, 0.0)  # the weakest row looked at


def test_no_rows_are_no_moments() -> None:
    assert told([]) == []


def test_hits_that_touch_are_one_moment_with_the_score_of_the_best() -> None:
    assert told([("a", 0, 8, 0.9), ("a", 8, 16, 1.0), FAR]) == [("a", 0, 16, 1.0), FAR]


def test_hits_that_do_not_touch_are_two_unless_the_gap_reaches() -> None:
    rows: list[Row] = [("a", 0, 8, 1.0), ("a", 10, 18, 0.9), FAR]
    assert told(rows) == [("a", 0, 8, 1.0), ("a", 10, 18, 0.9), FAR]
    assert told(rows, 1.9) == [("a", 0, 8, 1.0), ("a", 10, 18, 0.9), FAR]
    assert told(rows, 2.0) == [("a", 0, 18, 1.0), FAR]


def test_a_weak_row_does_not_make_the_moment_beside_it_longer() -> None:
    assert told([("a", 0, 8, 1.0), ("a", 8, 16, 0.2), FAR]) == [("a", 0, 8, 1.0), ("a", 8, 16, 0.2), FAR]


def test_a_weak_row_that_lies_by_half_in_a_moment_adds_nothing() -> None:
    assert told([("a", 0, 8, 1.0), ("a", 4, 12, 0.2), FAR]) == [("a", 0, 8, 1.0), FAR]
    assert ("a", 5, 13, 0.2) in told([("a", 0, 8, 1.0), ("a", 5, 13, 0.2), FAR])


def test_weak_rows_are_told_as_moments_of_their_own() -> None:
    rows: list[Row] = [("a", 0, 8, 1.0), ("a", 8, 16, 0.3), ("a", 16, 24, 0.25), FAR]
    assert told(rows) == [("a", 0, 8, 1.0), ("a", 8, 24, 0.3), FAR]


def test_rows_of_equal_score_are_one_moment() -> None:
    assert told([("a", 0, 8, 0.5), ("a", 4, 12, 0.5), ("a", 8, 16, 0.5)]) == [("a", 0, 16, 0.5)]


def test_videos_are_never_mixed() -> None:
    assert told([("a", 0, 8, 1.0), ("b", 8, 16, 1.0)]) == [("a", 0, 8, 1.0), ("b", 8, 16, 1.0)]


def told_by_the_rule(rows: list[Row], gap_s: float) -> list[Row]:
    """docs/http-api.md, word by word: each row is compared with each moment."""
    weakest, found = min(score for *_, score in rows), []
    for video in sorted({source for source, *_ in rows}):
        left = [row for row in rows if row[0] == video]
        while left:
            bar = (max(score for *_, score in left) + weakest) / 2
            moments: list[Row] = []
            for _, start, end, score in sorted(row for row in left if row[3] >= bar):
                if moments and start - moments[-1][2] <= gap_s:
                    _, first, last, best = moments.pop()
                    moments.append((video, first, max(last, end), max(best, score)))
                else:
                    moments.append((video, start, end, score))
            left = [row for row in left if row[3] < bar and not any(lies_in(row, m) for m in moments)]
            found += moments
    ordered = sorted(found, key=lambda m: (-m[3], m[0], m[1]))
    return [(source, start, end, round(score, 3)) for source, start, end, score in ordered]


def lies_in(row: Row, moment: Row) -> bool:
    return min(row[2], moment[2]) - max(row[1], moment[1]) >= (row[2] - row[1]) / 2


@pytest.mark.parametrize("gap_s", [0.0, 2.5])
def test_many_rows_are_told_as_the_contract_says(gap_s: float) -> None:
    chance = np.random.default_rng(3)
    for _ in range(60):
        starts = chance.integers(-4, 60, 80) / 2
        lengths = chance.choice([0.0, 0.5, 1.0, 4.0, 7.5], 80)
        scores = chance.integers(0, 64, 80) / 64  # exact in float32, and some alike
        rows: list[Row] = [
            (f"v-{i % 3}", float(start), float(start + length), float(score))
            for i, (start, length, score) in enumerate(zip(starts, lengths, scores, strict=True))
        ]
        assert told(rows, gap_s) == told_by_the_rule(rows, gap_s)


def test_the_rows_of_a_long_video_are_told_within_seconds() -> None:
    scores = np.random.default_rng(5).random(32_000)
    rows: list[Row] = [("long", float(t), t + 1.0, float(score)) for t, score in enumerate(scores)]
    began = time.perf_counter()
    assert told(rows)
    assert time.perf_counter() - began < 10


def test_null_never_merges() -> None:
    rows: list[Row] = [("a", 0, 8, 1.0), ("a", 4, 12, 0.9), ("a", 0, 8, 0.1)]
    assert told(rows, None) == rows


@pytest.mark.parametrize("shift", [-3.0, 0.0, 5.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_the_scale_of_an_encoder_s_scores_does_not_matter(scale: float, shift: float) -> None:
    chance = np.random.default_rng(7)
    rows: list[Row] = [
        (source, float(start), float(start + 8), float(score))
        for source in "abc"
        for start, score in zip(range(0, 80, 4), chance.random(20), strict=True)
    ]
    scaled: list[Row] = [(*row[:3], row[3] * scale + shift) for row in rows]
    assert [row[:3] for row in told(scaled)] == [row[:3] for row in told(rows)]
