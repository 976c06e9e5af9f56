"""The rendered world: the same from a seed, what its captions say, and the verb that writes it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.types import Look, Sampling
from extractor.encoders import load
from extractor.media.reader import Reader
from extractor.world import BACKGROUNDS, COLOURS, MOTIONS, SHAPES, Scene, film, frames, main, render


def test_a_seed_gives_the_same_film_again() -> None:
    assert film(3, 5) == film(3, 5)
    assert film(3, 5) != film(4, 5)


def test_neighbouring_films_begin_with_different_colours() -> None:
    assert len({film(0, number).scenes[0].colour for number in range(9)}) == 9


def test_captions_cover_the_film() -> None:
    spans = list(film(0, 0, seconds=12).captions())
    assert [span[:2] for span in spans] == [(0, 4), (4, 8), (8, 12)]
    assert all(any(colour in caption for colour in COLOURS) for _, _, caption in spans)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", MOTIONS)
def test_every_shape_is_seen_in_the_middle_square_all_the_time(shape: str, motion: str) -> None:
    for t in (0.0, 1.0, 2.0, 4.0):
        picture = render(Scene("red", shape, "grey", motion, 4.0), t)[:, 70:250].astype(int)
        share = (picture[..., 0] - picture[..., 1] > 60).mean()
        assert 0.01 < share < 0.6


def test_backgrounds_and_shapes_have_their_colours() -> None:
    picture = render(Scene("blue", "square", "white", "rises", 4.0), 2.0)
    assert tuple(picture[90, 160]) == COLOURS["blue"]
    assert tuple(picture[0, 0]) == BACKGROUNDS["white"]


def test_a_film_has_as_many_frames_as_its_seconds() -> None:
    assert sum(1 for _ in frames(film(0, 0, seconds=3), Fraction(10), 32, 18)) == 30


def test_the_toy_encoder_finds_every_scene_by_its_colour() -> None:
    encoder = load("toy:rgb")
    for number in range(9):
        for scene in film(0, number).scenes:
            import torch

            pictures = torch.from_numpy(np.stack([render(scene, t, 32, 32) for t in (0.5, 2.0, 3.5)]))
            rows = encoder.clips(encoder.features(pictures), [np.array([0, 1, 2])])
            scores = rows @ encoder.texts([f"a {colour} thing" for colour in COLOURS]).T
            assert list(COLOURS)[int(scores.argmax())] == scene.colour


def test_the_verb_writes_videos_and_says_what_is_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert main([str(tmp_path / name), "--count", "2", "--seconds", "3"]) == 0
    first, second = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "ab")
    assert first == second
    out = capsys.readouterr().out
    assert out.count("sample-01.mp4\n") == 2
    assert film(0, 1, 3).scenes[2].caption in out
    with Reader(tmp_path / "a" / "sample-02.mp4") as reader:
        assert [p.t for p in reader.pictures(Sampling(), Look(size=32))] == [0.0, 1.0, 2.0]
        assert reader.facts.seconds == 3.0


def test_file_names_do_not_give_away_what_is_in_them(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--count", "1", "--seconds", "1"]) == 0
    words = {*COLOURS, *SHAPES}
    assert not any(word in path.name for path in tmp_path.iterdir() for word in words)


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file")]) == 2
    assert (
        capsys.readouterr().err == f"cinedex sample-videos: {tmp_path}/file cannot be written: File exists.\n"
    )
