"""Which colour is whose, and where each lies: of scenes, and of what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from extractor.world.colours import COLOURS
from extractor.world.drawn import scene
from extractor.world.motions import DIRECTIONS
from extractor.world.query import Named, Query
from extractor.world.scene import still
from extractor.world.shapes import SHAPES
from training.bindings import BindingHeads, TurningHead, said, said_going, shown, shown_going
from training.groups import group

_COLOURS, _SHAPES = list(COLOURS), list(SHAPES)
RED_STAR, BLUE_RING = Named("star", "red"), Named("ring", "blue")


def pair(colour: str, shape: str) -> int:
    return _COLOURS.index(colour) * len(_SHAPES) + _SHAPES.index(shape)


def test_of_scenes_all_is_known() -> None:
    scenes = [still(scene("train", 3, number), 0.5) for number in range(100)]
    found = shown(scenes)
    assert found.whose_known.min() == found.where_known.min() == 1
    for row, each in enumerate(scenes):
        pairs = {pair(thing.colour, thing.shape) for thing in each.things}
        assert {*found.whose[row].nonzero()[0]} == pairs
        for kind, shape in enumerate(_SHAPES):
            at = [(thing.x, thing.y) for thing in each.things if thing.shape == shape]
            meant = np.mean(at, axis=0) - 0.5 if at else np.zeros(2)
            assert np.allclose(found.where[row, kind] * 0.35, meant, atol=1e-6)


def test_of_a_sentence_what_it_names_is_known() -> None:
    found = said([Query((RED_STAR, BLUE_RING)), Query((RED_STAR, Named("ring"))), Query(ground="grass")])
    known = found.whose_known[0].nonzero()[0]
    assert {*known} == {pair(c, s) for c in ("red", "blue") for s in ("star", "ring")}
    assert {*found.whose[0].nonzero()[0]} == {pair("red", "star"), pair("blue", "ring")}
    assert not found.whose_known[1:].any() and not found.where_known.any()


@pytest.mark.parametrize(
    ("place", "across", "down"), [("top left", -1, -1), ("middle centre", 0, 0), ("bottom centre", 0, 1)]
)
def test_a_place_that_is_named_is_the_middle_of_its_ninth(place: str, across: int, down: int) -> None:
    found = said([Query((replace(RED_STAR, place=place),))])
    kinds = [_SHAPES.index("star"), len(_SHAPES) + _COLOURS.index("red")]
    assert {*found.where_known[0, :, 0].nonzero()[0]} == {*kinds}
    assert np.allclose(found.where[0, kinds] * 0.35, np.array([across, down]) / 3)


def test_what_a_relation_says_is_so_in_the_scene_of_which_it_is_true() -> None:
    for number in range(40):
        held = group("relation", "train", 0, number, moving=False)
        seen, told = shown(held.scenes), said(held.claims)
        known = told.where_known[..., 0] > 0
        assert known.any(axis=1).all()
        for row in range(len(held.scenes)):
            kinds = {thing.shape for thing in held.scenes[row].things}
            if len(kinds) == 2:  # else they lie at the middle, taken together
                both = told.where[row][known[row]] * seen.where[row][known[row]]
                assert both.sum() > 0.5


def test_what_goes_somewhere_goes_there_in_scenes_and_sentences_alike() -> None:
    for number in range(20):
        held = group("direction", "train", 0, number)
        seen, told = shown_going(held.scenes), said_going(held.claims)
        for row, (film, claim) in enumerate(zip(held.scenes, held.claims, strict=True)):
            thing = film.things[0]
            kind, way = _SHAPES.index(thing.shape), DIRECTIONS[thing.motion]
            assert claim.things[0].motion == thing.motion and told.where_known[row, kind, 0] == 1
            assert np.allclose(told.where[row, kind], way)
            if [each.shape for each in film.things].count(thing.shape) == 1:
                assert np.allclose(seen.where[row, kind], way)


def test_a_sentence_without_motions_says_of_no_thing_which_way_it_goes() -> None:
    found = said_going([Query((RED_STAR, BLUE_RING)), Query((replace(RED_STAR, motion="still"), BLUE_RING))])
    star = {_SHAPES.index("star"), len(_SHAPES) + _COLOURS.index("red")}
    assert {*found.where_known[1, :, 0].nonzero()[0]} == star
    assert not found.where_known[0].any() and not found.where.any()


def test_heads_read_what_vectors_hold_and_unknown_things_cost_nothing() -> None:
    torch.manual_seed(0)
    scenes = [still(scene("train", 5, number), 0.5) for number in range(24)]
    right, heads = shown(scenes), BindingHeads(64)
    vectors = torch.randn(24, 64)
    before = heads.loss(vectors, right).detach()
    assert torch.allclose(before, heads.loss(3 * vectors, right))  # whatever their length
    learning = torch.optim.Adam(heads.parameters(), 3e-3)
    for _ in range(200):
        learning.zero_grad()
        loss = heads.loss(vectors, right)
        loss.backward()  # type: ignore[no-untyped-call]
        learning.step()
    assert loss.detach() < 0.1 * before
    assert heads.loss(vectors, said([Query()] * 24)).detach() == 0


def test_the_sense_of_circles_is_asked_where_all_motions_are_told() -> None:
    turns = [replace(RED_STAR, motion=motion) for motion in ("clockwise", "anticlockwise", "left")]
    head, vectors = TurningHead(4), torch.eye(7, 4)
    asked = [(turns[0],), (turns[1],), (turns[2],), (turns[0], turns[1])]
    told = [*asked, (turns[0], BLUE_RING), (RED_STAR,), ()]
    with torch.no_grad():
        head.sense.bias.fill_(1.0)  # it says 1 of all: right of the first, wrong by 2, 1 and 1 of the others
    assert float(head.loss(vectors, told).detach()) == pytest.approx(2.0 * 6 / 7)
