"""Plain films: the same from a seed, and what their captions say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from extractor.encoders import load
from extractor.world.plain_films import (
    PLAIN_BACKGROUNDS,
    PLAIN_COLOURS,
    PLAIN_MOTIONS,
    PLAIN_SHAPES,
    PlainScene,
    plain_film,
    plain_frames,
    plain_picture,
)


def test_a_seed_gives_the_same_film_again() -> None:
    assert plain_film(3, 5) == plain_film(3, 5)
    assert plain_film(3, 5) != plain_film(4, 5)


def test_neighbouring_films_begin_with_different_colours() -> None:
    assert len({plain_film(0, number).scenes[0].colour for number in range(9)}) == 9


def test_captions_cover_the_film() -> None:
    spans = list(plain_film(0, 0, seconds=12).captions())
    assert [span[:2] for span in spans] == [(0, 4), (4, 8), (8, 12)]
    assert all(any(colour in caption for colour in PLAIN_COLOURS) for _, _, caption in spans)


@pytest.mark.parametrize("shape", PLAIN_SHAPES)
@pytest.mark.parametrize("motion", PLAIN_MOTIONS)
def test_every_shape_is_seen_in_the_middle_square_all_the_time(shape: str, motion: str) -> None:
    for t in (0.0, 1.0, 2.0, 4.0):
        picture = plain_picture(PlainScene("red", shape, "grey", motion, 4.0), t)[:, 70:250].astype(int)
        share = (picture[..., 0] - picture[..., 1] > 60).mean()
        assert 0.01 < share < 0.6


def test_backgrounds_and_shapes_have_their_colours() -> None:
    picture = plain_picture(PlainScene("blue", "square", "white", "rises", 4.0), 2.0)
    assert tuple(picture[90, 160]) == PLAIN_COLOURS["blue"]
    assert tuple(picture[0, 0]) == PLAIN_BACKGROUNDS["white"]


def test_a_film_has_as_many_frames_as_its_seconds() -> None:
    assert sum(1 for _ in plain_frames(plain_film(0, 0, seconds=3), Fraction(10), 32, 18)) == 30


def test_the_toy_encoder_finds_every_scene_by_its_colour() -> None:
    encoder = load("toy:rgb")
    for number in range(9):
        for scene in plain_film(0, number).scenes:
            pictures = torch.from_numpy(np.stack([plain_picture(scene, t, 32, 32) for t in (0.5, 2.0, 3.5)]))
            rows = encoder.clips(encoder.features(pictures), [np.array([0, 1, 2])])
            scores = rows @ encoder.texts([f"a {colour} thing" for colour in PLAIN_COLOURS]).T
            assert list(PLAIN_COLOURS)[int(scores.argmax())] == scene.colour
