"""The least effort that finds enough, and no more trials than that takes."""

from __future__ import annotations

import numpy as np
import pytest

from core.query import Effort
from index.effort import MOST_CANDIDATES, choose, least


@pytest.mark.parametrize("most", [1, 2, 3, 7, 16, 100, 4_000])
def test_the_least_is_found_to_a_sixteenth(most: int) -> None:
    for enough in range(1, most + 1, max(1, most // 50)):
        tried: list[int] = []
        found = least(most, lambda n, enough=enough, tried=tried: tried.append(n) or n >= enough)  # type: ignore[misc]
        assert enough <= found <= max(enough, enough + found // 16)
        assert len(tried) == len(set(tried)) <= 2 * np.log2(most) + 2


def test_where_nothing_is_enough_it_is_all_there_is() -> None:
    assert least(100, lambda n: False) == 100
    assert least(0, lambda n: False) == 0


def found(effort: Effort, probed: float, told_apart: float) -> float:
    """More lists and more candidates find more, never all with few of either."""
    return float((1 - np.exp(-effort.lists / probed)) * (1 - np.exp(-effort.candidates / told_apart)))


@pytest.mark.parametrize("probed", [0.1, 3.0, 40.0])
@pytest.mark.parametrize("told_apart", [0.1, 1.0, 4.0])
def test_lossy_codes_get_lists_and_candidates_and_half_of_either_is_too_little(
    probed: float, told_apart: float
) -> None:
    chosen = choose(lambda e, share: found(e, probed, told_apart) >= share, 0.95, 512, is_lossy=True)
    assert found(chosen, probed, told_apart) >= 0.95
    if chosen.lists > 1:
        assert found(Effort(chosen.lists // 2, chosen.candidates), probed, told_apart) < 0.95
    if chosen.candidates > 1:
        assert found(Effort(chosen.lists, chosen.candidates // 2), probed, told_apart) < 0.95


def test_codes_that_lose_nothing_are_not_scored_again() -> None:
    chosen = choose(lambda e, share: e.lists >= 37, 0.95, 512, is_lossy=False)
    assert chosen.candidates == 1
    assert 37 <= chosen.lists <= 39


def test_an_index_without_lists_has_only_candidates_to_choose() -> None:
    assert choose(lambda e, share: e.candidates >= 5, 0.95, 0, is_lossy=True) == Effort(0, 5)
    assert choose(lambda e, share: False, 0.95, 0, is_lossy=True) == Effort(0, MOST_CANDIDATES)
