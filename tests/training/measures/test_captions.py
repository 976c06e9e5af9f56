"""What captions name, and what they only seem to name."""

from __future__ import annotations

import pytest

from extractor.encoders import load
from extractor.world.chance import Chance
from extractor.world.claims import full
from extractor.world.drawn import scene
from extractor.world.grammar import sentence
from training.measures.captions import captioned, names_in
from training.measures.sight import Sight


@pytest.mark.parametrize(
    ("caption", "colours", "shapes"),
    [
        ("a red star", {"red"}, {"star"}),
        ("a large crimson disc at night", {"red"}, {"circle"}),
        ("a blue ring moving round clockwise on a white background", {"blue"}, {"ring"}),
        ("a box drifts in an anticlockwise circle among the stars of the night", set(), {"square"}),
        ("an emerald six-sided shape in the top left corner on a grid of lines", {"green"}, {"hexagon"}),
        ("a chocolate plus sign", {"brown"}, {"cross"}),
        ("a black object on black", {"black"}, set()),
        ("two red stars and a golden moon", {"red", "yellow"}, {"star", "crescent"}),
        ("a starry thing", set(), set()),
        ("", set(), set()),
    ],
)
def test_a_caption_names_things_and_not_their_ground_or_way(
    caption: str, colours: set[str], shapes: set[str]
) -> None:
    assert names_in(caption) == (colours, shapes)


def test_every_full_caption_of_one_thing_is_read_right() -> None:
    for number in range(400):
        shown = scene("validation", 3, number, count=1)
        (thing,) = shown.things
        text = sentence(full(shown, Chance("caption", number)), Chance("said", number))
        assert names_in(text) == ({thing.colour}, {thing.shape}), text


def test_who_writes_nothing_has_no_lines() -> None:
    assert captioned(Sight(load("toy:rgb"), "test", 0, 0.01)) == []
