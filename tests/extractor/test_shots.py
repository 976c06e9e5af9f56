"""Shots: where they begin, of films whose cuts, fades and dissolves are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.types import Sampling
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from extractor.shots import HEIGHT, WIDTH, Finder, Small
from tests.extractor import edited
from tests.extractor.edited import FPS, Joint
from tests.extractor.test_reader import LOOK

F1_BAR = 0.95
FILMS: tuple[tuple[Joint, ...], ...] = (
    ("cut", "cut", "dissolve", "fade"),
    ("fade", "cut", "cut", "dissolve"),
    ("dissolve", "dissolve", "cut", "cut"),
    ("cut", "fade", "cut", "cut"),  # with flashes
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, edited.Edited]]:
    folder = tmp_path_factory.mktemp("films")
    made = [(folder / f"{seed}.mp4", edited.edited(seed, joints)) for seed, joints in enumerate(FILMS)]
    for path, film in made:
        write_video(path, edited.frames(film), Encoding(fps=FPS, gop=50, bframes=2, crf=26))
    return made


def test_shots_of_films_with_cuts_fades_and_dissolves_are_found(
    films: list[tuple[Path, edited.Edited]],
) -> None:
    scores = []
    for path, film in films:
        with Reader(path, shots=True) as reader:
            times = [picture.t for picture in reader.pictures(Sampling(), LOOK)]
            found = reader.facts.shots
        assert times == [float(n) for n in range(len(times))]  # the points stay what they are
        assert found[0] == 0.0
        scores.append(edited.score(film.changes, found[1:]))
    assert edited.f1(scores) >= F1_BAR, scores


def test_with_points_shots_the_grid_and_each_shots_first_picture_are_points(
    films: list[tuple[Path, edited.Edited]],
) -> None:
    path, _ = films[0]
    with Reader(path) as reader:
        pictures = list(reader.pictures(Sampling(points="shots", fps=0.25), LOOK))
        begins, seconds = reader.facts.shots, reader.facts.seconds
    assert len(begins) == 5
    assert sorted({picture.shot for picture in pictures}) == list(begins)
    grid = [n * 4.0 for n in range(int(seconds / 4) + 1)]
    assert [p.t for p in pictures] == sorted(
        {*grid, *(b for b in begins if not _has(grid, b, begins, seconds))}
    )
    ends = dict(zip(begins, [*begins[1:], seconds], strict=True))
    following = [p.t for p in pictures[1:]] + [seconds]
    assert [p.end for p in pictures] == [
        min(ends[p.shot], t) for p, t in zip(pictures, following, strict=True)
    ]


def _has(grid: list[float], begin: float, begins: tuple[float, ...], seconds: float) -> bool:
    end = next((b for b in begins if b > begin), seconds)
    return any(begin <= t < end for t in grid)


def plain(level: int, seed: int = 0) -> Small:
    """A textured picture of about that level."""
    texture = np.random.default_rng(seed).integers(-20, 20, (HEIGHT, WIDTH, 3))
    return np.clip(level + texture, 0, 255).astype(np.uint8)


def begins(pictures: list[Small], fps: float = 25.0) -> list[int]:
    """The numbers of the pictures with which shots begin."""
    finder = Finder()
    told = [each for n, picture in enumerate(pictures) for each in finder.push(n / fps, picture)]
    told += finder.finish()
    assert len(told) == len(pictures)
    return [n for n, is_first in enumerate(told) if is_first]


def test_a_cut_is_found_at_its_very_picture() -> None:
    assert begins([plain(60)] * 20 + [plain(160, 1)] * 20) == [0, 20]


def test_a_flash_is_no_cut() -> None:
    assert begins([plain(60)] * 20 + [plain(230, 1)] + [plain(60)] * 20) == [0]


def test_light_that_goes_down_and_up_again_is_no_dissolve() -> None:
    dimmed = [(plain(200) * (1 - 0.6 * n / 20)).astype(np.uint8) for n in range(21)]
    assert begins([plain(200)] * 10 + dimmed + dimmed[::-1] + [plain(200)] * 10) == [0]


def test_a_fade_through_black_is_one_change_and_begins_with_the_light() -> None:
    out = [(plain(150) * (1 - n / 10)).astype(np.uint8) for n in range(11)]
    back = [(plain(150, 1) * (n / 10)).astype(np.uint8) for n in range(11)]
    found = begins([plain(150)] * 10 + out + [plain(0) * 0] * 5 + back + [plain(150, 1)] * 30)
    assert len(found) == 2 and 26 <= found[1] <= 29


def test_a_dissolve_is_found_when_it_has_ended() -> None:
    one, other = plain(60).astype(float), plain(140, 1).astype(float)
    mixes = [(one + (other - one) * n / 20).astype(np.uint8) for n in range(21)]
    found = begins([plain(60)] * 30 + mixes + [plain(140, 1)] * 30)
    assert len(found) == 2 and 48 <= found[1] <= 55


def test_something_that_moves_over_a_still_ground_is_no_change_of_shot() -> None:
    pictures = []
    for n in range(100):
        picture = plain(80).copy()
        picture[10:26, n // 3 : n // 3 + 20] = (220, 30, 30)
        pictures.append(picture)
    assert begins(pictures) == [0]


def test_pictures_that_come_in_twos_as_of_a_slower_film_are_no_cuts() -> None:
    panned = np.random.default_rng(5).integers(0, 255, (HEIGHT, WIDTH + 60, 3)).astype(np.uint8)
    assert begins([panned[:, n // 2 : n // 2 + WIDTH].copy() for n in range(100)]) == [0]
