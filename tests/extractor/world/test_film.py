"""Films: their shots, their cuts, and that what they show is what they are said to show."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from extractor.world.film import Film, Shot, film, frames, taken, there_and_back
from extractor.world.motions import REVERSED
from extractor.world.render import render
from extractor.world.scene import Scene, Thing, still


@pytest.mark.parametrize("seconds", [0.1, 1.0, 4.0, 12.0, 61.3, 600.0])
def test_shots_fill_a_film_without_gaps(seconds: float) -> None:
    made = film("test", 1, 2, seconds)
    assert made.shots[0].start == 0.0 and made.seconds == seconds
    assert all(one.end == other.start for one, other in zip(made.shots, made.shots[1:], strict=False))
    assert all(shot.start < shot.end for shot in made.shots)
    assert len(made.shots) == max(1, round(seconds / 4))


def test_shots_are_as_long_as_is_asked_for() -> None:
    lengths = [shot.end - shot.start for shot in film("test", 0, 0, 400.0, shot_seconds=8.0).shots]
    assert len(lengths) == 50 and 4.5 < min(lengths) < 8 < max(lengths) < 11.5


def test_shots_are_as_long_as_the_page_says() -> None:
    lengths = [
        shot.end - shot.start
        for seconds in (6.0, 8.0, 9.9, 10.0, 10.1, 12.0, 13.9, 14.0, 18.0, 22.0, 100.0)
        for seed in range(30)
        for shot in film("test", seed, 0, seconds).shots
    ]
    assert 2 <= min(lengths) < 2.5 and 5.5 < max(lengths) <= 6.5
    assert len(film("test", 0, 0, 5.9).shots) == 1


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.3, 9.0])
def test_a_film_has_as_many_frames_as_its_seconds(seconds: float) -> None:
    made = film("test", 0, 0, seconds)
    assert sum(1 for _ in frames(made, Fraction(10), 32)) == round(Fraction(seconds) * 10)


def test_a_moment_is_what_its_picture_shows() -> None:
    made = film("test", 5, 0, 8.0)
    for number, picture in enumerate(frames(made, Fraction(12), 64)):
        seen = made.at((number + 0.5) / 12)
        (again,) = render(seen, [0.5], 64)
        assert np.abs(again.astype(int) - picture).mean() < 1.5


@pytest.mark.parametrize("fps", [1, 3, 7])
def test_a_picture_shows_its_scene_at_its_part_of_the_time_exactly(fps: int) -> None:
    made = film("test", 4, 1, 61.3, 1.7)
    seen = [still(scene, part) for scene, parts in taken(made, Fraction(fps)) for part in parts]
    assert any(shot.scene.pan for shot in made.shots)
    for scene, picture in zip(seen, frames(made, Fraction(fps), 64), strict=True):
        assert np.abs(render(scene, [0.5], 64)[0].astype(int) - picture).mean() < 0.05


def test_the_first_and_the_last_moment_are_part_of_a_film() -> None:
    thing = Thing("star", "red", "plain", 0.1, 0.5, 0.5, "right", 0.4)
    scene = Scene((thing,), "sand")
    made = Film((Shot(scene, 0.0, 2.0), Shot(scene.reversed(), 2.0, 4.0)))
    assert [made.at(t).things[0].x for t in (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 9.0)] == pytest.approx(
        [0.3, 0.3, 0.5, 0.7, 0.5, 0.3, 0.3]
    )
    assert made.at(1.0) == still(scene, 0.5)


def test_a_thing_that_goes_and_comes_back_does_not_jump() -> None:
    for number in range(20):
        there, back = there_and_back("test", 0, number, 8.0).shots
        (going,), (coming,) = there.scene.things, back.scene.things
        assert REVERSED[going.motion] == coming.motion in ("left", "right", "up", "down")
        assert still(there.scene, 1.0) == still(back.scene, 0.0)
        assert (there.start, there.end, back.start, back.end) == (0, 4, 4, 8)
