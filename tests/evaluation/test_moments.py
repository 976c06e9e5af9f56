"""DiDeMo's moments: all 21 of half a minute, by the mean of their seconds."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import Float32Array
from evaluation.moments import MOMENTS, ranked

TEXT = np.array([1, 0], np.float32)


def states(*scores: float) -> Float32Array:
    """Each five seconds with one score, and something that the text does not see."""
    return np.stack([np.repeat(scores, 5), np.arange(5 * len(scores))], axis=1).astype(np.float32)


def test_the_best_moment_is_the_one_with_the_best_mean() -> None:
    found = ranked(states(0, 1, 5, 4, 0, 0), TEXT, 30)
    assert len(found) == len(MOMENTS) == 21 and sorted(found) == list(MOMENTS)
    assert found[:4] == [(2, 2), (2, 3), (3, 3), (1, 3)]


def test_a_moment_without_a_second_of_the_video_is_left_out_and_others_count_their_padding() -> None:
    found = ranked(states(0, 0, 0, 1, 9, 9), TEXT, 17)
    assert {first for first, _ in found} == {0, 1, 2, 3} and len(found) == 18
    assert found[0] == (3, 5)
    assert ranked(states(0, 0, 0, 0, 0, 0), TEXT, 0) == []


def test_too_few_states_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="25 states are fewer than the 30 of all moments"):
        ranked(states(0, 1, 2, 3, 4), TEXT, 25)
