"""Batches: what is rendered, said and labelled belongs together."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np
import pytest

from extractor.world.chance import Chance
from extractor.world.colours import COLOURS
from extractor.world.query import satisfies
from extractor.world.shapes import SHAPES
from extractor.world.unseen import unseen
from training.batches import clips, grouped, pictures, sentences, times
from training.labels import CELLS, labels

MAKERS = {
    "pictures": partial(pictures, "train", 0, size=64),
    "clips": partial(clips, "train", 0, size=32, frames=4),
    "groups": partial(grouped, "train", 0, frames=4, most=64),
}


@pytest.mark.parametrize("side", [64, 96])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_batch_is_the_same_again_and_each_caption_is_true(kind: str, side: int) -> None:
    one, again, other = (MAKERS[kind](number=number, side=side) for number in (3, 3, 4))
    assert np.array_equal(one.pictures, again.pictures) and one.captions == again.captions
    assert one.captions != other.captions
    n = len(one.captions)
    assert one.pictures.shape == (n, 1 if kind == "pictures" else 4, side, side, 3)
    assert len(one.scenes) == len(one.claims) == len(one.groups) == n
    assert all(satisfies(scene, query) for scene, query in zip(one.scenes, one.claims, strict=True))
    assert not any(unseen(scene) for scene in one.scenes)
    known = asdict(one.labels)
    things = known.pop("things")
    assert {len(values) for values in known.values()} == {n}
    assert {len(values) for values in things.values()} == {sum(len(scene.things) for scene in one.scenes)}
    assert (max(one.groups) >= 1) == (kind == "groups")


def test_labels_say_what_is_in_the_scenes() -> None:
    batch = clips("test", 1, 0, 64, 64)
    found = labels(batch.scenes)
    for i, scene in enumerate(batch.scenes):
        assert {list(SHAPES)[n] for n in found.shapes[i].nonzero()[0]} == {t.shape for t in scene.things}
        assert {list(COLOURS)[n] for n in found.colours[i].nonzero()[0]} == {t.colour for t in scene.things}
        assert found.counts[i] == len(scene.things)
        assert 0 < found.places[i].sum() <= len(scene.things) and found.places.shape[1] == CELLS**2
        assert 0 < found.motions[i].sum() <= len(scene.things)


def test_a_colour_that_is_said_is_seen() -> None:
    batch = pictures("test", 2, 0, 200, 64)
    for picture, scene in zip(batch.pictures[:, 0].astype(int), batch.scenes, strict=True):
        for thing in scene.things:
            away = np.abs(picture - COLOURS[thing.colour]).max(axis=2).min()
            assert away < 40 or thing.texture != "plain"


def test_pictures_are_taken_evenly_around_half_time() -> None:
    for number in range(20):
        found = times(Chance(number), 8)
        assert found == pytest.approx([1 - part for part in reversed(found)])
        assert 0 < found[0] < 0.3 and np.diff(found) == pytest.approx([found[1] - found[0]] * 7)


def test_sentences_of_no_picture_differ_in_the_order_of_their_words_alone() -> None:
    told = sentences("train", 0, 3, 64)
    assert len(told.claims) == len(told.captions) > 48
    assert told == sentences("train", 0, 3, 64) != sentences("train", 0, 4, 64)
    first, last = told.claims[:8], told.claims[-8:]
    assert all(claim.relation for claim in first) and not any(claim.relation for claim in last)
    for alike in (first, last):
        assert len({claim.ground for claim in alike}) == 1
        assert len({tuple(sorted(thing.colour for thing in claim.things)) for claim in alike}) == 1
    assert len({claim.relation for claim in first}) == len(first) and len(set(last)) == len(last)
