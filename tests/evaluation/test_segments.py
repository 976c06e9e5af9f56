"""Seconds by labels, and steps in time, beside what is right."""

from __future__ import annotations

import numpy as np

from evaluation.segments import NONE, accuracy, recall, targets


def test_a_segment_has_every_second_that_it_reaches_into() -> None:
    found = targets([(1.2, 2.5, 3), (4.0, 6.0, 1)], 8)
    assert found.tolist() == [NONE, 3, 3, NONE, 1, 1, NONE, NONE]
    assert targets([(0.0, 3.0, 1), (2.0, 9.0, 2)], 4).tolist() == [1, 1, 2, 2]


def test_accuracy_is_the_share_of_all_seconds() -> None:
    assert accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])) == 0.75


def test_recall_counts_each_step_that_is_there_once() -> None:
    right = [(0.5, 2.0, 0), (8.0, 9.0, 0), (3.0, 4.0, 2)]
    assert recall([8, 5, 3], right) == 1
    assert recall([2, 5, 3], right) == 0.5
    assert recall([2, 5, 3], []) == 0
