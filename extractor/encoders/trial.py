"""Pictures to try an encoder on, always the same: colours that run together, textures, shapes with edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SEED = 16
_MOST_SHAPES = 6
_MOST_TEXTURE = 40.0  # grey levels, the standard deviation
_COLOUR = 0.4  # of a texture, beside its light and shade
_LEAST_LENGTH = 0.05  # of a shape, in sides of the picture

Floats = NDArray[np.float64]


def trial_pictures(size: int, count: int) -> NDArray[np.uint8]:
    """uint8 [count, size, size, 3]."""
    random = np.random.default_rng(_SEED)
    return np.stack([_picture(random, size) for _ in range(count)])


def trial_runs(size: int, count: int, run: int) -> NDArray[np.uint8]:
    """uint8 [count · run, size, size, 3]: some pictures, each of which moves on for so many."""
    moving = [np.roll(picture, n, axis=1) for picture in trial_pictures(size, count) for n in range(run)]
    return np.stack(moving)


def _picture(random: np.random.Generator, size: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:size, 0:size] / size
    picture = _slope(random, y, x)
    for _ in range(random.integers(1, _MOST_SHAPES + 1)):
        top, left = random.uniform(0, 1, 2)
        height, width = random.uniform(_LEAST_LENGTH, 0.5, 2)
        down, across = np.abs(y - top) / height, np.abs(x - left) / width
        is_round = random.integers(2)
        inside = np.hypot(down, across) < 1 if is_round else np.maximum(down, across) < 1
        picture[inside] = random.uniform(0, 255, 3)
    picture += random.uniform(0, _MOST_TEXTURE) * _texture(random, size)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _slope(random: np.random.Generator, y: Floats, x: Floats) -> Floats:
    """One colour that becomes another on the way across."""
    one, other = random.uniform(0, 255, (2, 3))
    down, across = random.uniform(-1, 1, 2)
    way = np.clip(0.5 + down * (y - 0.5) + across * (x - 0.5), 0, 1)[..., None]
    return np.asarray(one + (other - one) * way)


def _texture(random: np.random.Generator, size: int) -> Floats:
    """Of deviation 1, and as rough at every scale as what cameras see: each wave as high as it is long."""
    noise = random.normal(size=(4, size, size // 2 + 1, 2)) @ np.array([1, 1j])
    noise = noise[:1] + _COLOUR * noise[1:]
    length = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    length[0, 0] = np.inf  # no wave: the mean
    texture = np.fft.irfft2(noise / length, s=(size, size))
    return np.asarray(np.moveaxis(texture / texture.std(), 0, -1))
