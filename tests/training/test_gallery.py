"""Galleries: a thousand texts, each true of exactly one of a thousand scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from extractor.world.drawn import Split
from extractor.world.query import satisfying
from training.gallery import HARD, Shown, gallery, hard_gallery, still_gallery


@pytest.mark.parametrize("make", [gallery, still_gallery])
def test_each_of_a_thousand_texts_is_true_of_one_scene_alone(
    make: Callable[[Split, int], list[Shown]],
) -> None:
    found = make("test", 5)
    scenes = [shown.scene for shown in found]
    assert len({shown.text for shown in found}) == len(found) == 1000
    for i in range(0, 1000, 7):
        assert satisfying(found[i].claim, scenes) == [i]


def test_a_gallery_may_hold_single_things_only() -> None:
    assert {len(shown.scene.things) for shown in gallery("validation", 0, 50, count=1)} == {1}


def test_a_still_gallery_says_nothing_of_motion() -> None:
    for shown in still_gallery("test", 1, 100):
        assert not any(thing.motion for thing in shown.scene.things) and not shown.claim.pan


def test_the_hard_gallery_is_a_thousand_clips_in_groups_of_eight() -> None:
    found = hard_gallery("test", 2)
    assert {len(group.scenes) for _, group in found} == {8} and len(found) == 125
    assert set(Counter(attribute for attribute, _ in found)) == set(HARD)
    assert min(Counter(attribute for attribute, _ in found).values()) >= 20
