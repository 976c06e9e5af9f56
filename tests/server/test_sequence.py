"""Chains of rows, held to every combination there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from core.query import Hits, Segments
from server.sequence import Chain, Gap, WantedRows, chains

Row = tuple[str, float, float, float]  # source, start, end, score
NEVER = float("inf")


def wanted(rows: list[Row], absent: bool = False) -> WantedRows:
    source, start, end, score = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
    segments = Segments(source, np.array(start, float), np.array(end, float))
    return WantedRows(Hits(segments, np.array(score, np.float32)), absent)


def rows_of(one: WantedRows) -> list[Row]:
    return [
        (row.source, row.start, row.end, float(score))
        for row, score in zip(one.hits.segments, one.hits.scores, strict=True)
    ]


def is_free(absent: list[list[Row]], source: str, start: float, end: float) -> bool:
    """Whether no row that is not to be there lies by half or more in [start, end)."""
    return not any(
        row[0] == source and min(row[2], end) - max(row[1], start) >= (row[2] - row[1]) / 2
        for rows in absent
        for row in rows
    )


def every_chain(steps: list[WantedRows], times: Gap) -> Iterator[tuple[Row, ...]]:
    """All that there are, one by one."""
    present = [number for number, step in enumerate(steps) if not step.absent]
    for chain in itertools.product(*(rows_of(steps[number]) for number in present)):
        if len({row[0] for row in chain}) == 1 and _fits(chain, present, steps, times):
            yield chain


def _fits(chain: tuple[Row, ...], present: list[int], steps: list[WantedRows], times: Gap) -> bool:
    source = chain[0][0]
    for one, other in itertools.pairwise(chain):
        if not (one[2] >= other[1] - times.most and one[2] <= other[1] - times.least):
            return False
    starts = [chain[0][1] - times.most, *(row[2] for row in chain)]
    ends = [*(row[1] for row in chain), chain[-1][2] + times.most]
    edges = [-1, *present, len(steps)]
    for (before, behind), start, end in zip(itertools.pairwise(edges), starts, ends, strict=True):
        between = [rows_of(steps[number]) for number in range(before + 1, behind)]
        if not is_free(between, source, start, end):
            return False
    return True


def by_brute_force(steps: list[WantedRows], times: Gap) -> dict[tuple[str, float, float], float]:
    """The best score of each row of the last step that ends a chain."""
    best: dict[tuple[str, float, float], float] = {}
    for chain in every_chain(steps, times):
        score = sum(row[3] for row in chain) / len(chain)
        last = chain[-1][:3]
        best[last] = max(best.get(last, -NEVER), score)
    return best


def some_rows(chance: np.random.Generator, most: int) -> list[Row]:
    found = {}
    for _ in range(int(chance.integers(0, most))):
        start, length = float(chance.integers(0, 20)), float(chance.integers(1, 6))
        found[str(chance.choice(["a", "b", "c"])), start, start + length] = float(chance.random())
    return [(*key, score) for key, score in found.items()]


@pytest.mark.parametrize("seed", range(150))
def test_chains_are_those_of_a_brute_force_join(seed: int) -> None:
    chance = np.random.default_rng(seed)
    count = int(chance.integers(2, 5))
    steps = [wanted(some_rows(chance, 14), absent=bool(chance.random() < 0.35)) for _ in range(count)]
    if all(step.absent for step in steps):
        steps[0] = wanted(rows_of(steps[0]))
    least = float(chance.choice([0, 0, 1, 3]))
    times = Gap(least, float(chance.choice([NEVER, least, least + 4, 9])))
    best = by_brute_force(steps, times)
    found = chains(steps, times, one_a_video=True)
    wanted_scores = {
        source: max(score for (other, *_), score in best.items() if other == source)
        for source in {key[0] for key in best}
    }
    assert {chain.source: pytest.approx(chain.score) for chain in found} == wanted_scores
    assert [chain.score for chain in found] == sorted((chain.score for chain in found), reverse=True)
    all_there_are = set(every_chain(steps, times))
    present = [step for step in steps if not step.absent]
    for chain in chains(steps, times, one_a_video=False):
        rows = tuple(rows_of(step)[n] for step, n in zip(present, chain.rows, strict=True))
        assert rows in all_there_are
        assert chain.score == pytest.approx(best[rows[-1][:3]])
        assert (chain.start, chain.end) == (rows[0][1], rows[-1][2])


@pytest.mark.parametrize("seed", range(30))
def test_sequences_of_one_video_lie_apart_and_leave_out_nothing_that_does(seed: int) -> None:
    chance = np.random.default_rng(seed)
    steps = [wanted(some_rows(chance, 40)) for _ in range(2)]
    found = chains(steps, Gap(0, 6), one_a_video=False)
    assert found or not by_brute_force(steps, Gap(0, 6))
    for one, other in itertools.combinations(found, 2):
        assert one.source != other.source or one.end <= other.start or other.end <= one.start
    for (source, _, end), score in by_brute_force(steps, Gap(0, 6)).items():
        overlapped = [c for c in found if c.source == source and c.score >= score - 1e-6]
        assert any(chain.start < end for chain in overlapped)


def one(chain: Chain) -> tuple[float, float]:
    return chain.start, chain.end


A, B = [("v", 0.0, 8.0, 0.9), ("v", 40.0, 48.0, 0.8)], [("v", 10.0, 18.0, 0.7)]


def test_a_step_follows_another_within_so_many_seconds() -> None:
    assert [one(c) for c in chains([wanted(A), wanted(B)], Gap(), False)] == [(0, 18)]
    assert [one(c) for c in chains([wanted(A), wanted(B)], Gap(most=2), False)] == [(0, 18)]
    assert chains([wanted(A), wanted(B)], Gap(most=1.9), False) == []
    assert chains([wanted(A), wanted(B)], Gap(least=2.1), False) == []


def test_what_is_absent_is_not_between_nor_before_nor_behind() -> None:
    absent = wanted(B, absent=True)
    assert [one(c) for c in chains([wanted(A), absent], Gap(), False)] == [(40, 48)]
    assert [one(c) for c in chains([absent, wanted(A)], Gap(), False)] == [(0, 8)]
    assert chains([wanted(A[:1]), absent, wanted(A[1:])], Gap(), False) == []
    assert [one(c) for c in chains([wanted(A), absent], Gap(most=5), False)] == [(0, 8), (40, 48)]


def test_a_row_that_reaches_in_by_less_than_half_is_not_there() -> None:
    reaching = wanted([("v", 4.5, 11.0, 0.7)], absent=True)
    assert [one(c) for c in chains([wanted(A[:1]), reaching], Gap(), False)] == [(0, 8)]
    by_half = wanted([("v", 5.0, 11.0, 0.7)], absent=True)
    assert chains([wanted(A[:1]), by_half], Gap(), False) == []


def test_a_video_of_sixteen_thousand_rows_is_joined_too() -> None:
    chance = np.random.default_rng(1)
    times = np.arange(16_384, dtype=float)
    steps = [
        WantedRows(
            Hits(Segments(["v"] * len(times), times, times + 8), chance.random(len(times), np.float32))
        )
        for _ in range(3)
    ]
    (best, *_) = chains([*steps, wanted([("v", 3.0, 4.0, 1.0)], absent=True)], Gap(0, 60), False)
    assert best.end - best.start <= 3 * 8 + 2 * 60
