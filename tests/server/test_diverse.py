"""Results that are unlike those before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.query import Part, Query
from core.types import Float64Array
from index.snapshot import Snapshot
from server import diverse
from server.searcher import Answer, Searcher
from tests.server.worlds import TOY, Shelf, id_of, vector


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Four videos alike, and two others."""
    shelf = Shelf.make(tmp_path_factory.mktemp("diverse") / "data")
    shelf.add({name: [("red", 8)] for name in ("a", "b", "c", "d")} | {"pink": [("pink", 8)]})
    shelf.add({"blue": [("blue", 8)]})
    shelf.build()
    return shelf


def found(shelf: Shelf, **how: Any) -> tuple[Answer, list[str]]:
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    answer = searcher.answer(Query((Part(text="red"),), **how))
    return answer, [group[0].moment.source for group in answer.results]


def test_none_changes_nothing_and_all_of_it_brings_what_differs_first(shelf: Shelf) -> None:
    plain, order = found(shelf)
    assert set(order[-2:]) == {id_of("pink"), id_of("blue")}
    none, _ = found(shelf, diversity=0.0)
    assert [group[0].moment for group in none.results] == [group[0].moment for group in plain.results]
    everything, other = found(shelf, diversity=1.0)
    assert other[0] == order[0] and set(other[1:3]) == {id_of("pink"), id_of("blue")}
    assert sorted(other) == sorted(order) and everything.total == plain.total


def test_by_video_and_with_a_limit_too(shelf: Shelf) -> None:
    _, order = found(shelf, diversity=0.9, limit=3, by_video=True)
    assert set(order[1:]) == {id_of("pink"), id_of("blue")}


@pytest.mark.parametrize("diversity", [0.1, 0.5, 0.9])
def test_the_order_is_that_of_the_definition(diversity: float) -> None:
    chance = np.random.default_rng(3)
    relevance = np.sort(chance.random(40))[::-1].copy()
    relevance[0] = 1.0
    rows = chance.random((40, 6))
    likeness: Float64Array = rows @ rows.T
    order = diverse._marginal(relevance, likeness, diversity)
    taken = [0]
    while len(taken) < 40:
        left = [n for n in range(40) if n not in taken]
        taken.append(
            max(
                left,
                key=lambda n: (
                    (1 - diversity) * relevance[n] - diversity * max(likeness[n, other] for other in taken)
                ),
            )
        )
    assert order == taken


def test_only_so_many_are_chosen_among(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diverse, "CHOSEN_AMONG", 4)
    _, plain = found(shelf)
    _, order = found(shelf, diversity=1.0)
    assert order[4:] == plain[4:]


def test_what_has_no_row_is_like_nothing(shelf: Shelf) -> None:
    view, query = Snapshot.open(shelf.store), vector("red")
    answer, _ = found(shelf)
    moments = [group[0].moment for group in answer.results]
    rows = diverse.vectors_of(view, query, moments)
    assert rows @ query == pytest.approx([moment.score for moment in moments], abs=1e-3)
    rows[2] = 0
    likeness = diverse._likeness(rows)
    assert not likeness[2].any() and likeness[0, 1] == pytest.approx(1.0)
