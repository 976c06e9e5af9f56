"""Scenes: the same from a seed, of splits apart, without held-out pairs in training, and without hints."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import get_args

import numpy as np
import pytest

from extractor.world.chance import Chance
from extractor.world.claims import full
from extractor.world.colours import COLOURS, UNSEEN_ON
from extractor.world.drawn import Split, drawn, scene
from extractor.world.film import film, there_and_back
from extractor.world.grammar import sentence
from extractor.world.grounds import GROUNDS
from extractor.world.motions import DIRECTIONS, KINDS, MOTIONS, REVERSED, pose
from extractor.world.render import render
from extractor.world.scene import Scene, Thing, still
from extractor.world.shapes import SHAPES, TURNS, distances
from extractor.world.unseen import COLOUR_SHAPES, COUNT_COLOURS, SHAPE_MOTIONS, unseen

SPLITS: tuple[Split, ...] = get_args(Split)
EIGHTHS = [(number + 0.5) / 8 for number in range(8)]


@pytest.fixture(scope="module")
def training() -> list[Scene]:
    return [scene("train", seed, number) for seed in range(5) for number in range(2000)]


def test_chance_is_the_same_everywhere() -> None:
    chance = Chance("a", 7)
    assert [chance.below(1000) for _ in range(4)] == [384, 597, 265, 213]
    assert Chance("a", 7).some("abcdef", 6) == ["c", "d", "b", "a", "f", "e"]


def test_a_seed_gives_the_same_scenes_again_and_another_one_others() -> None:
    assert scene("test", 3, 5) == scene("test", 3, 5)
    assert len({scene("test", seed, number) for seed in range(20) for number in range(20)}) == 400


def test_splits_share_no_scene_whatever_the_seed() -> None:
    held = [{scene(split, seed, n) for seed in range(4) for n in range(250)} for split in SPLITS]
    assert len(set().union(*held)) == 4 * 1000
    films = [{film(split, seed, 0, 40.0) for seed in range(10)} for split in SPLITS]
    assert len({shot.scene for each in films for made in each for shot in made.shots}) == 40 * 10


def test_no_training_seed_shows_a_held_out_pair(training: list[Scene]) -> None:
    shots = [shot.scene for seed in range(20) for shot in film("train", seed, 0, 80.0).shots]
    turns = [shot.scene for seed in range(20) for shot in there_and_back("train", seed, 0, 8.0).shots]
    for each in [*training, *shots, *turns]:
        assert not unseen(each)
        assert not any(unseen(still(each, part)) for part in EIGHTHS)


def test_every_other_pair_is_shown_in_training(training: list[Scene]) -> None:
    looks = {(thing.colour, thing.shape) for each in training for thing in each.things}
    motions = {(thing.shape, thing.motion) for each in training for thing in each.things}
    counts = {
        (count, colour)
        for each in training
        for colour, count in Counter(thing.colour for thing in each.things).items()
        if count > 1
    }
    assert looks == {(c, s) for c in COLOURS for s in SHAPES} - COLOUR_SHAPES
    assert motions == {(s, m) for s in SHAPES for m in MOTIONS} - SHAPE_MOTIONS
    assert counts == {(k, c) for k in (2, 3, 4) for c in COLOURS} - COUNT_COLOURS
    assert (len(COLOUR_SHAPES), len(COUNT_COLOURS)) == (24, 6)
    assert {c for c, _ in COLOUR_SHAPES} == set(COLOURS) and {s for s, _ in SHAPE_MOTIONS} == set(SHAPES)


def test_other_splits_show_held_out_pairs() -> None:
    for split in SPLITS[1:]:
        shown = set().union(*(unseen(scene(split, 0, number)) for number in range(3000)))
        assert len(shown & COLOUR_SHAPES) == 24
        assert {type(first) for first, _ in shown} == {int, str}


@pytest.mark.parametrize("pictures", [1, 2, 3, 5, 8, 15, 49])
@pytest.mark.parametrize("motion", MOTIONS)
def test_backwards_a_motion_is_another_one_picture_for_picture(motion: str, pictures: int) -> None:
    parts = [(number + 0.5) / pictures for number in range(pictures)]
    thing = Thing("arrow", "red", "striped", 0.13, 0.45, 0.52, motion, 0.3, 40.0, 0.3)
    made = Scene((thing,), "grass", 2, "left", (0.3, 0.25))
    assert made.reversed().things[0].motion == REVERSED[motion] and made.reversed().reversed() == made
    for at in (parts, [number / 10 for number in range(11)]):
        assert np.array_equal(render(made.reversed(), at, 64), render(made, at, 64)[::-1])


def test_nothing_is_hidden_at_half_time(training: list[Scene]) -> None:
    assert all(len(still(each, 0.5).things) == len(each.things) for each in training[:1000])


def test_directions_pass_the_middle_of_their_paths_at_half_time() -> None:
    for motion in DIRECTIONS:
        at = [pose(motion, part) for part in (0.0, 0.5, 1.0)]
        assert (at[1].dx, at[1].dy) == (0, 0)
        assert (at[0].dx, at[0].dy) == (-at[2].dx, -at[2].dy) != (0, 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if len(kind) == 2], ids=" and ".join)
def test_nothing_in_a_single_picture_tells_the_sense_of_a_motion(
    kind: tuple[str, str], training: list[Scene]
) -> None:
    things = [(thing, each) for each in training for thing in each.things if thing.motion in kind]
    sense = np.array([thing.motion == kind[0] for thing, _ in things])
    assert abs(sense.mean() - 0.5) < 4 * 0.5 / len(sense) ** 0.5
    marks: dict[str, Callable[[Thing, Scene], float]] = {
        "x": lambda thing, _: thing.x,
        "y": lambda thing, _: thing.y,
        "radius": lambda thing, _: thing.radius,
        "reach": lambda thing, _: thing.reach,
        "turn": lambda thing, _: thing.turn,
        "phase": lambda thing, _: thing.phase,
        "count": lambda _, each: len(each.things),
        "pan": lambda _, each: bool(each.pan),
        "others' x": lambda thing, each: sum(other.x - thing.x for other in each.things),
        "others' y": lambda thing, each: sum(other.y - thing.y for other in each.things),
        "others' motion": lambda thing, each: sum(other.motion in kind for other in each.things),
    }
    for name, mark in marks.items():
        found = np.array([mark(thing, each) for thing, each in things], float)
        assert abs(np.corrcoef(found, sense)[0, 1]) < 4.5 / len(sense) ** 0.5, name
    for names in ([t.shape for t, _ in things], [t.colour for t, _ in things], [e.ground for _, e in things]):
        for name in set(names):
            has = np.array(names) == name
            assert abs(sense[has].mean() - 0.5) < 4.5 * 0.5 / has.sum() ** 0.5, name


def test_things_stay_inside_the_picture_and_apart_at_every_moment(training: list[Scene]) -> None:
    for each in training[:3000]:
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            seen = still(each, part).things
            for thing in seen:
                assert thing.radius * 0.95 < min(thing.x, 1 - thing.x, thing.y, 1 - thing.y)
            for one, other in combinations(seen, 2):
                apart = np.hypot(one.x - other.x, one.y - other.y)
                assert apart > 0.9 * (one.radius + other.radius)


def test_no_shape_is_larger_than_its_radius_says() -> None:
    for name in SHAPES:
        far = distances(name).reshape(256, 256)
        assert (far[[0, -1]] > 0.05).all() and (far[:, [0, -1]] > 0.05).all()
        assert 0.15 < (far < 0).mean() < 0.65


def test_nothing_has_a_colour_that_cannot_be_told_from_the_ground(training: list[Scene]) -> None:
    assert set(UNSEEN_ON) == set(GROUNDS) and set(TURNS) <= set(SHAPES)
    assert not any(thing.colour in UNSEEN_ON[each.ground] for each in training for thing in each.things)


def test_a_scene_has_the_number_of_things_that_is_asked_for() -> None:
    chance = Chance(0)
    for count in (0, 1, 2, 3, 4):
        assert all(len(drawn(chance, True, count).things) == count for _ in range(50))


def test_scenes_words_and_pictures_are_these_on_every_machine() -> None:
    chance, told, pixels = Chance("golden"), hashlib.sha256(), 0.0
    for number in range(60):
        made = scene("test", 11, number)
        told.update(f"{made} {sentence(full(made, chance), chance)}".encode())
        pixels += render(made, EIGHTHS, 64).mean()
    assert told.hexdigest()[:16] == "fd709072163a8868"
    assert pixels / 60 == pytest.approx(137.822, abs=0.01)
