"""Everyday sentences: the same from a seed, and of other words in each half."""

from __future__ import annotations

import re

import pytest

from training import bank
from training.bank import everyday


def test_they_follow_from_the_seed() -> None:
    assert everyday("train", 3, 50) == everyday("train", 3, 50) != everyday("train", 4, 50)
    assert len(set(everyday("test", 1, 500))) > 450


@pytest.mark.parametrize("lists", ["_WHO", "_DOES", "_THING", "_WHERE", "_ASKED"])
def test_what_is_held_out_is_in_no_sentence_of_training(lists: str) -> None:
    trained, held = (set(half.split("|")) for half in getattr(bank, lists))
    assert not trained & held
    if lists != "_ASKED":
        said = " | ".join(everyday("train", 0, 2000))
        assert [word for word in held if re.search(rf"\b{word}\b", said)] == []


def test_some_speak_of_colours_and_grounds_of_the_world() -> None:
    said = everyday("validation", 0, 400)
    assert 0.1 < sum("red" in text.split() or "blue" in text.split() for text in said) * 4 / len(said) < 0.9
    assert any("over grass" in text for text in said)
