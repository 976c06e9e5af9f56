"""Figures from vectors whose answers can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import Float32Array
from training.measures.scores import (
    any_among,
    auc,
    first_is_right,
    is_told,
    numbered,
    overlap,
    precision,
    sense,
    told,
)

SCORES = np.array([[0.9, 0.1, 0.2], [0.3, 0.3, 0.1], [0.5, 0.4, 0.6]], np.float32)


def of(*numbers: float) -> Float32Array:
    return np.array(numbers, np.float32)


def test_what_is_chosen_must_be_above_all_others() -> None:
    assert is_told(SCORES, [0, 0, 2]).tolist() == [True, False, True]
    assert told(SCORES, [0, 2, 2]) == pytest.approx(2 / 3)
    assert told(np.ones((4, 4), np.float32), range(4)) == 0


def test_one_of_the_right_ones_among_the_first_is_enough() -> None:
    assert any_among(SCORES, [[1, 2], [2], [0]], first=1) == 0
    assert any_among(SCORES, [[1, 2], [2], [0]], first=2) == pytest.approx(2 / 3)
    assert any_among(np.zeros((1, 20), np.float32), [[3]]) == 0


def test_many_right_ones_do_not_stand_in_each_others_way() -> None:
    assert any_among(np.ones((1, 20), np.float32), [range(19)], first=2) == 1


@pytest.mark.parametrize(
    ("right", "share"), [([0, 1], 1.0), ([0, 2], 0.5), ([2, 3], 0.0), ([0, 1, 2, 3], 1.0)]
)
def test_precision_is_the_share_of_right_ones_among_the_first(right: list[int], share: float) -> None:
    assert precision(of(0.9, 0.8, 0.2, 0.1), right, first=2) == share


def test_of_equal_ones_the_wrong_ones_come_first() -> None:
    assert precision(np.ones(20, np.float32), range(10)) == 0
    assert precision(np.ones(20, np.float32), range(15)) == 0.5


@pytest.mark.parametrize(
    ("above", "below", "share"),
    [((2, 3), (0, 1), 1.0), ((0, 1), (2, 3), 0.0), ((1, 1), (1,), 0.5), ((0, 2), (1,), 0.5)],
)
def test_auc_is_how_often_the_first_is_greater(
    above: tuple[int, ...], below: tuple[int, ...], share: float
) -> None:
    assert auc(of(*above), of(*below)) == share


def test_a_clip_that_is_the_same_backwards_is_chosen_half_the_time() -> None:
    forth, back = np.eye(2, dtype=np.float32), -np.eye(2, dtype=np.float32)
    assert sense(forth, back, forth, back) == 1
    assert sense(forth, back, back, forth) == 0
    assert sense(forth, forth, forth, back) == 0.5
    nearly = forth * np.float32(1.01)  # by chance one of both is nearer to whatever is said
    assert sense(forth, nearly, forth, forth) == 0.5


@pytest.mark.parametrize(
    ("other", "share"), [((0, 4), 1), ((2, 6), 1 / 3), ((4, 8), 0), ((9, 10), 0), ((1, 3), 0.5)]
)
def test_spans_overlap_by_what_they_share_of_both(other: tuple[float, float], share: float) -> None:
    assert overlap((0, 4), other) == pytest.approx(share)


def test_the_moment_that_scores_highest_must_be_the_right_one() -> None:
    spans = [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0)]
    assert first_is_right(of(0.1, 0.2, 0.9), spans, (4, 8))
    assert not first_is_right(of(0.1, 0.9, 0.2), spans, (4, 8))
    assert first_is_right(of(0.1, 0.9, 0.2), spans, (3, 7))  # three of five seconds
    assert not first_is_right(of(0.5, 0.1, 0.5), spans, (4, 8))
    assert not first_is_right(of(0.1, 0.2, 0.3), spans, (20, 24))


def test_names_have_numbers() -> None:
    assert numbered(["a", "b"], ["b", "a", "b"]).tolist() == [1, 0, 1]
