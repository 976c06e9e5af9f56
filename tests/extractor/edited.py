"""Edited films: textured scenes that move, joined by cuts, fades and dissolves at known times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extractor.world.grounds import Pixels
from extractor.world.plain_films import PlainFilm, PlainScene, plain_film, plain_picture

FPS = Fraction(25)
WIDTH, HEIGHT = 320, 180
FADE_S, DISSOLVE_S = 1.0, 0.8
_MARGIN = 48  # pixels that a camera may wander over

Joint = str  # "cut", "fade" or "dissolve"


@dataclass(frozen=True, slots=True)
class Change:
    """From the last picture of one shot alone to the first one of the next alone, in seconds."""

    joint: Joint
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Edited:
    """Shots in a row; how each begins after the one before."""

    shots: tuple[PlainFilm, ...]
    joints: tuple[Joint, ...]
    seconds: tuple[float, ...]
    seed: int
    flashes: bool = False
    noise: float = 2.0

    @property
    def changes(self) -> list[Change]:
        """Where one shot gives way to the next."""
        found, t = [], 0.0
        for seconds, joint in zip(self.seconds, self.joints, strict=False):
            t += seconds
            half = {"cut": 0.0, "fade": FADE_S / 2, "dissolve": DISSOLVE_S / 2}[joint]
            found.append(Change(joint, t - half, t + half))
        return found


def edited(seed: int, joints: tuple[Joint, ...]) -> Edited:
    """One shot more than joints, of 1.5 to 4 s; a fourth of them with flashes."""
    random = np.random.default_rng([seed, 3])
    shots = tuple(plain_film(seed, number, seconds=10.0, scenes=1) for number in range(len(joints) + 1))
    seconds = tuple(float(s) for s in random.uniform(1.5, 4.0, len(shots)).round(2))
    return Edited(shots, joints, seconds, seed, flashes=seed % 4 == 3)


def frames(made: Edited) -> Iterator[Pixels]:
    """The film as a camera takes it."""
    random = np.random.default_rng([made.seed, 4])
    starts = np.cumsum([0.0, *made.seconds])
    backs = [_back(made.seed, number) for number in range(len(made.shots))]
    flash = set(random.integers(0, int(starts[-1] * FPS), 3).tolist()) if made.flashes else set()
    for number in range(int(starts[-1] * FPS)):
        t = float(number / FPS)
        picture = np.zeros((HEIGHT, WIDTH, 3))
        for i, share in _shares(made, t):
            picture += share * _shot(made.shots[i].scenes[0], backs[i], t - starts[i], made.seed + i)
        if number in flash:
            picture = picture * 0.3 + 180
        grain = random.normal(0, made.noise, (HEIGHT, WIDTH, 1))
        yield np.clip(picture + grain, 0, 255).astype(np.uint8)


def _shares(made: Edited, t: float) -> list[tuple[int, float]]:
    """Which shots are seen at a time, and how strongly."""
    at = 0
    for i, change in enumerate(made.changes):
        if change.start <= t < change.end:
            part = (t - change.start) / (change.end - change.start)
            if change.joint == "fade":
                return [(i, max(0.0, 1 - part / 0.46)), (i + 1, max(0.0, (part - 0.54) / 0.46))]
            return [(i, 1 - part), (i + 1, part)]
        if t >= change.end:
            at = i + 1
    return [(at, 1.0)]


def _back(seed: int, number: int) -> NDArray[np.float64]:
    """Something to pan over: soft blots of light and dark, a little coloured."""
    random = np.random.default_rng([seed, number, 5])
    shape = (HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN)
    found = np.zeros((*shape, 3))
    for size in (48, 16, 6):
        rough = random.normal(0, 1, (shape[0] // size + 2, shape[1] // size + 2, 3))
        rough = rough.mean(axis=2, keepdims=True) * 0.8 + rough * 0.4
        found += np.kron(rough, np.ones((size, size, 1)))[: shape[0], : shape[1]] * size**0.5 * 4
    return found


def _shot(scene: PlainScene, back: NDArray[np.float64], t: float, seed: int) -> NDArray[np.float64]:
    """The scene at a time, before a ground that the camera pans over and, in some shots, quickly."""
    speed = (4.0, 12.0, 30.0)[seed % 3]
    x = int(_MARGIN + np.sin(t * speed / _MARGIN + seed) * (_MARGIN - 1))
    y = int(_MARGIN + np.cos(t * speed / _MARGIN) * (_MARGIN - 1) / 2)
    ground = back[y : y + HEIGHT, x : x + WIDTH]
    return np.asarray(plain_picture(scene, t, WIDTH, HEIGHT) + ground, dtype=np.float64)


NEAR_S = 0.2  # five pictures: how far from a change its shot may be found to begin
Score = tuple[int, int, int]  # found, missed, found where nothing is


def score(changes: list[Change], found: Sequence[float]) -> Score:
    """Each change is found once, by a beginning within it or near it."""
    left = list(found)
    hits = 0
    for change in changes:
        near = [t for t in left if change.start - NEAR_S <= t <= change.end + NEAR_S]
        if near:
            hits += 1
            left.remove(near[0])
    return hits, len(changes) - hits, len(left)


def f1(scores: Sequence[Score]) -> float:
    """The harmonic mean of precision and recall over all films."""
    hits = sum(each[0] for each in scores)
    return 2 * hits / (2 * hits + sum(missed + wrong for _, missed, wrong in scores))
