"""What is said of scenes is true of them, and grammar says no more and no less than a claim."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest

from extractor.world import lexicon
from extractor.world.chance import Chance
from extractor.world.claims import claim, full, least, short
from extractor.world.colours import COLOURS
from extractor.world.drawn import scene
from extractor.world.grammar import sentence
from extractor.world.grounds import GROUNDS
from extractor.world.motions import MOTIONS, PANS
from extractor.world.query import Named, Query, satisfies, satisfying
from extractor.world.scene import OPPOSITE, PLACES, SIZES, Scene, Thing, relation, still
from extractor.world.shapes import SHAPES
from extractor.world.textures import TEXTURES

RED = Thing("star", "red", "plain", 0.13, 0.2, 0.5, "left", 0.1)
BLUE = Thing("ring", "blue", "striped", 0.19, 0.7, 0.5, "still", 0.1)
BOTH = Scene((RED, BLUE), "grass", pan="up")


@pytest.mark.parametrize("say", [full, short, claim, least])
def test_what_is_said_of_a_scene_is_true_of_it(say: type) -> None:
    chance = Chance(1)
    for number in range(1500):
        made = scene("test", 0, number)
        for each in (made, still(made, 0.3)):
            assert satisfies(each, say(each, chance))


@pytest.mark.parametrize(
    "query",
    [
        Query((Named("star", "red"),)),
        Query((Named(colour="blue"), Named(shape="star"))),
        Query((Named("star", "red", "medium", "plain", "left", "middle left"),), 2, ground="grass", pan="up"),
        Query((Named("star"), Named("ring")), relation="left of"),
        Query((Named("ring"), Named("star")), relation="right of"),
        Query((Named("star"),), no_more=True),
        Query(count=2),
        Query(ground="grass"),
    ],
)
def test_a_claim_that_holds(query: Query) -> None:
    assert satisfies(BOTH, query)


@pytest.mark.parametrize(
    "query",
    [
        Query((Named("star", "blue"),)),
        Query((Named("star"), Named("star"))),
        Query((Named("star", motion="right"),)),
        Query((Named("star", size="large"),)),
        Query((Named("star", place="top left"),)),
        Query((Named("star"), Named("ring")), relation="right of"),
        Query((Named(), Named()), relation="above"),
        Query((Named(),), no_more=True),
        Query(count=1),
        Query(ground="sand"),
        Query(pan="down"),
    ],
)
def test_a_claim_that_does_not_hold(query: Query) -> None:
    assert not satisfies(BOTH, query)


def test_the_order_of_descriptions_does_not_matter_but_each_means_another_thing() -> None:
    twins = replace(BOTH, things=(RED, RED, BLUE))
    assert satisfies(twins, Query((Named("ring"), Named("star"), Named(colour="red"))))
    assert satisfies(twins, Query((Named("star"), Named("star")), no_more=True))
    assert not satisfies(twins, Query((Named("star"),), no_more=True))
    assert satisfying(Query((Named("star"), Named("star"))), [BOTH, twins, BOTH]) == [1]


def test_relations_are_told_both_ways_and_only_where_they_hold_all_the_time() -> None:
    for number in range(2000):
        things = scene("test", 1, number).things
        if len(things) > 1:
            how, back = relation(things[0], things[1]), relation(things[1], things[0])
            assert back == (None if how is None else OPPOSITE[how])
    assert relation(RED, replace(BLUE, x=0.3)) is None
    assert relation(RED, replace(BLUE, reach=0.9)) is None
    assert relation(replace(RED, y=0.2), replace(BLUE, x=0.2, y=0.8)) == "above"
    assert relation(replace(RED, y=0.2), replace(BLUE, x=0.6, y=0.6)) == "above left of"
    assert relation(replace(RED, y=0.3), replace(BLUE, x=0.6, y=0.5)) is None


def test_a_place_is_told_only_where_a_thing_never_leaves_it() -> None:
    assert RED.place == "middle left"
    assert replace(RED, reach=0.4).place == ""
    assert replace(RED, x=0.9, y=0.95, reach=0.0).place == "bottom right"


def test_a_moment_shows_what_is_seen_then_and_no_motion() -> None:
    hidden = replace(BOTH, things=(replace(RED, motion="appear"), replace(BLUE, motion="down", reach=0.4)))
    early, late = still(hidden, 0.25), still(hidden, 0.75)
    assert [thing.shape for thing in early.things] == ["ring"]
    assert [thing.shape for thing in late.things] == ["star", "ring"]
    assert [thing.y for thing in (early.things[0], late.things[1])] == pytest.approx([0.4, 0.6])
    assert not any(thing.motion for thing in late.things) and not late.pan
    grown = still(replace(BOTH, things=(replace(RED, motion="grow"),)), 1.0)
    assert grown.things[0].size == "large" and RED.size == "medium"


def test_every_word_of_the_world_is_said() -> None:
    chance = Chance(2)
    said = set()
    for number in range(6000):
        made = scene("train", 0, number)
        for each in (made, still(made, 0.3)):
            said.update(sentence(claim(each, chance), chance).replace(",", "").replace(":", "").split())
    words = lexicon.words()
    assert said <= words and words - said == {"five", "six", "seven", "eight"}
    assert 170 < len(words) < 280


def test_the_lexicon_names_all_there_is() -> None:
    assert set(lexicon.COLOUR_WORDS) == set(COLOURS)
    assert set(lexicon.SHAPE_WORDS) == {*SHAPES, ""}
    assert set(lexicon.SIZE_WORDS) == set(SIZES) and set(lexicon.PLACE_WORDS) == set(PLACES)
    assert set(lexicon.TEXTURE_WORDS) == set(TEXTURES) and set(lexicon.GROUND_WORDS) == set(GROUNDS)
    assert {*lexicon.WHERE_TO, *lexicon.DOING} == set(MOTIONS) and set(lexicon.PAN_WORDS) == set(PANS)


def test_no_two_meanings_share_a_word() -> None:
    assert set(lexicon.RELATION_WORDS) == set(OPPOSITE)
    for table in (
        lexicon.RELATION_WORDS,
        lexicon.COLOUR_WORDS,
        lexicon.SIZE_WORDS,
        lexicon.PLACE_WORDS,
        lexicon.GROUND_WORDS,
    ):
        held = [word for words in table.values() for word in words]
        assert len(held) == len(set(held))


def test_sentences_vary_and_read_as_english() -> None:
    query = Query((Named("star", "red", motion="left"),), ground="grass")
    said = {sentence(query, Chance(number)) for number in range(500)}
    assert len(said) > 100
    assert "a red star moves left over grass" in said
    assert any(text.startswith("a clip of a ") and "moving" in text for text in said)


def test_the_article_fits_the_word() -> None:
    for number, (colour, shape) in product(range(10), product(COLOURS, SHAPES)):
        words = sentence(Query((Named(shape, colour),)), Chance(number)).split()
        for article, word in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), words


def test_a_count_is_said_in_words() -> None:
    two = Query((Named("cross", "red"), Named("cross", "red")), no_more=True)
    assert {sentence(two, Chance(n)) for n in range(300)} >= {"two red crosses", "two scarlet plus signs"}
    one = Query((Named("cross"),), no_more=True)
    assert {sentence(one, Chance(n)) for n in range(100)} >= {"one cross", "one plus sign"}
    assert "three shapes" in {sentence(Query(count=3), Chance(n)) for n in range(100)}
    assert "nothing on sand" in {sentence(Query(count=0, ground="sand"), Chance(n)) for n in range(200)}
