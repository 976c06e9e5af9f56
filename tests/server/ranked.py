"""Films of one scene each, as files, and scores that are held to the plain ones."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pytest

from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import PlainFilm, PlainScene, plain_frames

NEAR = 2e-3  # of a unit vector's score: stores keep float16
Film = tuple[str, str, str, float, int, int]  # colour, shape, motion, seconds, width, height
FILMS: Mapping[str, Film] = {
    "right.mp4": ("red", "circle", "moves to the right", 4.0, 160, 90),
    "left.mp4": ("red", "circle", "moves to the left", 4.0, 160, 90),
    "portrait.mp4": ("blue", "square", "rises", 3.0, 90, 160),
    "short.mp4": ("green", "ring", "falls", 0.3, 160, 90),
    "one.mp4": ("yellow", "bar", "rises", 0.1, 160, 90),
}


def filmed(
    folder: Path, films: Mapping[str, Film] = FILMS, *, fps: Mapping[str, int] = MappingProxyType({})
) -> None:
    """The files in a new folder, of ten pictures a second or as many as fps says of one."""
    folder.mkdir()
    for name, (colour, shape, motion, seconds, width, height) in films.items():
        film = PlainFilm((PlainScene(colour, shape, "dark grey", motion, seconds),))
        rate = Fraction(fps.get(name, 10))
        write_video(folder / name, plain_frames(film, rate, width, height), Encoding(fps=rate))


def require_ranked(found: Mapping[str, float], scores: Mapping[str, float], near: float = NEAR) -> None:
    """The same scores, and so the same order wherever they differ by more than a store keeps."""
    assert found == pytest.approx(scores, abs=near)
    order = [scores[name] for name in found]
    assert all(one > other - 2 * near for one, other in pairwise(order))
    assert max(order) - min(order) > 10 * near
