"""Hits as columns are the segments they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from core.query import Hits, Segments
from core.types import Segment

ROWS = [Segment("v-a", 0.0, 4.0), Segment("v-b", 2.5, 3.0), Segment("v-a", 4.0, 8.0)]
TEXTS = [Segment("t-a", text="one"), Segment("t-b", text="two")]


@pytest.mark.parametrize("given", [ROWS, TEXTS, []])
def test_columns_are_looked_at_like_the_list_they_were_made_of(given: list[Segment]) -> None:
    columns = Segments.of(given)
    assert [*columns] == given and len(columns) == len(given)
    assert [*columns[1:]] == given[1:] and [columns[i] for i in range(-len(given), 0)] == given
    assert Segments.of(columns) is columns
    with pytest.raises(IndexError):
        columns[len(given)]


def test_columns_without_texts_have_none() -> None:
    columns = Segments(["v-a"], np.array([1.0]), np.array([2.0]))
    assert [*columns] == [Segment("v-a", 1.0, 2.0)] and [*columns[:1]] == [Segment("v-a", 1.0, 2.0)]


def test_hits_have_a_score_for_each_segment() -> None:
    with pytest.raises(ValueError, match="3 segments have 2 scores"):
        Hits(Segments.of(ROWS), np.zeros(2, np.float32))
