"""Prompts: the plainest words there are."""

from __future__ import annotations

from extractor.world.query import Named, Query
from training.measures.plainly import named, numbered, plainly


def test_prompts_are_plain() -> None:
    assert named("red", "star", "left") == "a red star moves left"
    assert named("orange") == "an orange shape" and named(shape="oval") == "an oval"
    assert named("red", "ring", "up") == "a red ring moves up"
    assert named("red", "ring", "appear") == "a red ring appears"
    assert [numbered(count) for count in (1, 3)] == ["one shape", "three shapes"]
    assert plainly(Query((Named("star"), Named("ring")), ground="grass")) == "a star and a ring over grass"
