"""Groups: alike in all but one attribute, told apart by their claims, for training without held-out pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

import pytest

from extractor.world.drawn import Split
from extractor.world.motions import HIDING, MOMENTS, TURNING, pose
from extractor.world.query import satisfying
from extractor.world.scene import Scene, Thing, still
from extractor.world.unseen import ever_unseen, motions_of, unseen
from training.groups import ATTRIBUTES, Attribute, group

SPLITS: tuple[Split, ...] = ("train", "test")
PARTS = [number / 20 for number in range(21)]


def differing(one: Thing, other: Thing) -> set[str]:
    names = Thing.__dataclass_fields__
    return {name for name, a, b in zip(names, astuple(one), astuple(other), strict=True) if a != b}


def changed(first: Scene, other: Scene) -> set[str]:
    """What is not the same of two scenes."""
    found = {"count"} if len(first.things) != len(other.things) else set[str]()
    for one, another in zip(first.things, other.things, strict=False):
        found |= differing(one, another)
    if replace(first, things=()) != replace(other, things=()):
        found.add("around")
    return found


CHANGES: dict[Attribute, set[str]] = {
    "shape": {"shape", "turn"},  # how far a shape may be turned depends on it
    "colour": {"colour"},
    "count": {"count"},
    "direction": {"motion"},
    "motion": {"motion"},
    "relation": {"x", "y"},
    "swapped colours": {"colour"},
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_one_attribute_differs_and_each_claim_is_true_of_one(attribute: Attribute, split: Split) -> None:
    for number in range(30):
        made = group(attribute, split, 1, number)
        assert 1 < len(made.scenes) == len(made.claims) <= 8
        assert [satisfying(claim, made.scenes) for claim in made.claims] == [
            [i] for i in range(len(made.scenes))
        ]
        for other in made.scenes[1:]:
            assert changed(made.scenes[0], other) <= CHANGES[attribute]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_groups_for_training_hold_no_held_out_pair(attribute: Attribute) -> None:
    for number in range(60):
        for scene in group(attribute, "train", 3, number, 16 if attribute == "motion" else 8).scenes:
            assert not unseen(scene)
            for part in PARTS:
                assert not unseen(still(scene, part))


def test_where_hiding_would_leave_a_held_out_number_nothing_hides() -> None:
    """Number 4107 is of three green things, which may be shown; two of them may not."""
    made = group("motion", "train", 1, 4107, 16)
    assert len(made.scenes) > 4
    for scene in made.scenes:
        first, *others = scene.things
        assert [thing.colour for thing in scene.things] == ["green"] * 3
        assert not any(unseen(still(scene, part)) for part in PARTS)
        for motion in set(HIDING) & set(motions_of(first.shape, True)):
            hiding = replace(scene, things=(replace(first, motion=motion), *others))
            assert not unseen(hiding) and ever_unseen(hiding) == {(2, "green")}


@pytest.mark.parametrize("first", HIDING)
@pytest.mark.parametrize("second", HIDING)
def test_the_moments_that_are_looked_at_show_all_that_hiding_does(first: str, second: str) -> None:
    def numbers(parts: Sequence[float]) -> set[tuple[bool, bool]]:
        return {(pose(first, part).is_seen, pose(second, part).is_seen) for part in parts}

    assert numbers(MOMENTS) == numbers([number / 1000 for number in range(1001)])


@pytest.mark.parametrize("attribute", [attribute for attribute in ATTRIBUTES if attribute != "motion"])
def test_groups_for_testing_have_the_size_that_is_asked_for(attribute: Attribute) -> None:
    assert {len(group(attribute, "test", 0, number).scenes) for number in range(40)} == {8}


def test_swapped_colours_swap_two_things_where_only_two_are_asked_for() -> None:
    made = group("swapped colours", "test", 0, 0, size=2)
    first, second = ([thing.colour for thing in scene.things] for scene in made.scenes)
    assert first == second[::-1]


def test_a_group_is_the_same_again() -> None:
    assert group("shape", "train", 4, 2) == group("shape", "train", 4, 2)
    assert group("shape", "train", 4, 2) != group("shape", "validation", 4, 2)


@pytest.mark.parametrize("split", SPLITS)
def test_turning_differs_in_the_sense_of_a_circle_alone(split: Split) -> None:
    for number in range(8):
        made = group("turning", split, 0, number)
        assert {scene.things[0].motion for scene in made.scenes} == set(TURNING)
        assert len({replace(scene, things=scene.things[1:]) for scene in made.scenes}) == 1
        assert [satisfying(claim, made.scenes) for claim in made.claims] == [[0], [1]]


@pytest.mark.parametrize("attribute", ["shape", "colour", "count", "relation", "swapped colours"])
def test_groups_for_single_pictures_hide_nothing_and_say_nothing_of_motion(attribute: Attribute) -> None:
    for number in range(40):
        made = group(attribute, "train", 2, number, moving=False)
        assert not any(thing.motion for scene in made.scenes for thing in scene.things)
        assert not any(named.motion for claim in made.claims for named in claim.things)
        assert all(still(scene, 0.3) == scene for scene in made.scenes)
