"""The service as it is measured: a library of its own, asked over a socket."""

from __future__ import annotations

import pytest

from core.errors import StoreError
from extractor.encoders import load
from training.measures.line import Bar
from training.measures.service import service
from training.measures.sight import Sight


def test_both_shares_are_measured_at_both_levels() -> None:
    lines = service(Sight(load("toy:rgb"), "validation", 2, 0.05))
    assert [line.measure for line in lines] == [
        f"service: {what}, {level}s"
        for level in ("clip", "frame")
        for what in ("“no confident match”, outside", "a confident match, about the films")
    ]
    assert [line.of for line in lines] == [50, 12, 50, 12]
    assert all(0 <= line.figure <= 1 and line.bar == Bar(0.90) for line in lines)
    outside, inside = lines[2].figure, lines[3].figure
    assert outside + inside > 1  # what names no colour is refused more often than what does


def test_a_service_that_cannot_be_made_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sight = Sight(load("toy:rgb"), "validation", 2, 0.01)
    monkeypatch.setattr("extractor.encoders.toy.load", _fails)
    with pytest.raises(StoreError) as caught:
        service(sight)
    assert str(caught.value) == "cinedex extract ended with 1, and so there is no service to measure."


def _fails(*given: object, **options: object) -> None:
    raise StoreError("No.")
