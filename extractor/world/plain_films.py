"""Plain films: one large shape at a time that moves on one colour. An encoder that knows nothing but colours
can tell them apart, and what a picture must look like can be told by a glance at one of its pixels. A seed
gives the same ones with the same version of NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extractor.world.colours import Colour
from extractor.world.grounds import Pixels

Floats = NDArray[np.float64]

PLAIN_COLOURS: dict[str, Colour] = {
    "red": (214, 32, 36),
    "blue": (28, 72, 214),
    "green": (30, 150, 52),
    "yellow": (240, 212, 20),
    "orange": (245, 132, 10),
    "purple": (128, 44, 176),
    "pink": (236, 84, 168),
    "cyan": (16, 188, 204),
    "brown": (120, 70, 28),
}
PLAIN_BACKGROUNDS: dict[str, Colour] = {
    "white": (244, 244, 244),
    "black": (14, 14, 14),
    "grey": (128, 128, 128),
    "dark grey": (72, 72, 72),
}
PLAIN_SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {  # how far inside a point is, of -1 … 1
    "circle": lambda x, y: 1 - np.hypot(x, y),
    "square": lambda x, y: 0.85 - np.maximum(np.abs(x), np.abs(y)),
    "triangle": lambda x, y: np.minimum(0.75 - y, (y + 1) * 0.5 - np.abs(x) * 0.9),
    "diamond": lambda x, y: (1 - np.abs(x) - np.abs(y)) * 0.7,
    "ring": lambda x, y: 0.28 - np.abs(np.hypot(x, y) - 0.7),
    "cross": lambda x, y: np.maximum(
        np.minimum(0.3 - np.abs(x), 1 - np.abs(y)), np.minimum(0.3 - np.abs(y), 1 - np.abs(x))
    ),
    "bar": lambda x, y: np.minimum(1 - np.abs(x), 0.35 - np.abs(y)),
    "crescent": lambda x, y: np.minimum(1 - np.hypot(x, y), np.hypot(x - 0.5, y) - 0.75),
}
PLAIN_MOTIONS: dict[str, Callable[[float], tuple[float, float, float]]] = {  # part of the scene → x, y, size
    "moves to the right": lambda p: (-0.35 + 0.7 * p, 0.0, 1.0),
    "moves to the left": lambda p: (0.35 - 0.7 * p, 0.0, 1.0),
    "rises": lambda p: (0.0, 0.4 - 0.8 * p, 1.0),
    "falls": lambda p: (0.0, -0.4 + 0.8 * p, 1.0),
    "goes round": lambda p: (0.3 * np.cos(2 * np.pi * p), 0.3 * np.sin(2 * np.pi * p), 0.9),
    "grows": lambda p: (0.0, 0.0, 0.5 + 0.9 * p),
    "shrinks": lambda p: (0.0, 0.0, 1.4 - 0.9 * p),
}
_SHAPE_SIZE = 0.5  # of half the picture's height


@dataclass(frozen=True, slots=True)
class PlainScene:
    """One shape that moves for some seconds."""

    colour: str
    shape: str
    background: str
    motion: str
    seconds: float

    @property
    def caption(self) -> str:
        article = "An" if self.colour[0] in "aeiou" else "A"
        return f"{article} {self.colour} {self.shape} {self.motion} on a {self.background} background."


@dataclass(frozen=True, slots=True)
class PlainFilm:
    """Scenes in a row."""

    scenes: tuple[PlainScene, ...]

    @property
    def seconds(self) -> float:
        return sum(scene.seconds for scene in self.scenes)

    def captions(self) -> Iterator[tuple[float, float, str]]:
        """Start, end and caption of each scene."""
        start = 0.0
        for scene in self.scenes:
            yield start, start + scene.seconds, scene.caption
            start += scene.seconds


def plain_film(seed: int, number: int, seconds: float = 12.0, scenes: int = 3) -> PlainFilm:
    """A film of that world. Films of neighbouring numbers begin with different colours."""
    random = np.random.default_rng([seed, number])
    colours = list(PLAIN_COLOURS)
    first = colours.pop(number % len(colours))
    chosen = [first, *random.permutation(colours)]
    return PlainFilm(
        tuple(
            PlainScene(
                colour=str(chosen[i % len(chosen)]),
                shape=str(random.choice(list(PLAIN_SHAPES))),
                background=str(random.choice(list(PLAIN_BACKGROUNDS))),
                motion=str(random.choice(list(PLAIN_MOTIONS))),
                seconds=seconds / scenes,
            )
            for i in range(scenes)
        )
    )


def plain_picture(scene: PlainScene, t: float, width: int = 320, height: int = 180) -> Pixels:
    """The scene `t` seconds after its beginning."""
    x0, y0, size = PLAIN_MOTIONS[scene.motion](min(max(t / scene.seconds, 0.0), 1.0))
    aspect, radius = width / height, _SHAPE_SIZE * size
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * aspect
    y = (np.arange(height) + 0.5) / height * 2 - 1
    xs, ys = np.meshgrid((x - x0 * aspect) / radius, (y - y0) / radius)
    inside = np.clip(PLAIN_SHAPES[scene.shape](xs, ys) * radius * height / 2 + 0.5, 0, 1)[..., None]
    back, front = np.array(PLAIN_BACKGROUNDS[scene.background]), np.array(PLAIN_COLOURS[scene.colour])
    found: Pixels = np.rint(back + inside * (front - back)).astype(np.uint8)
    return found


def plain_frames(film: PlainFilm, fps: Fraction, width: int = 320, height: int = 180) -> Iterator[Pixels]:
    """The film as a camera takes it."""
    scenes = list(film.scenes)
    start = 0.0
    for number in range(round(film.seconds * fps)):
        t = float(number / fps)
        while len(scenes) > 1 and t >= start + scenes[0].seconds:
            start += scenes.pop(0).seconds
        yield plain_picture(scenes[0], t - start, width, height)
