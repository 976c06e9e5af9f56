"""What films are made of: real clips where there are any, else textures that move and have grain.

What a codec pays for in real pictures is detail at all scales (their spectrum falls like 1/f), motion, and
noise that never repeats. Plain shapes on a plain ground would be decoded in no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from extractor.media.picture import Pixels

_SCENE_FRAMES = 60, 240
_SHIMMER = 6  # how much weaker the texture in front is
_LEAST_LINES = 480  # of a clip that is worth scaling up
_LEAST_BITS = 0.01  # a pixel: less is a black or a still picture
_OBJECTS = 3
_FALL = 1.4  # power of the spectrum; real pictures are a little softer than 1/f
_GRAIN = 1.5  # levels
_MARGIN = 1.5  # how much larger a scene is than what the camera sees of it


def real(clips: Sequence[Path], width: int, height: int) -> Iterator[Pixels]:
    """The pictures of all clips that are large and lively enough, one after another, again and again."""
    while True:
        any_frame = False
        for clip in clips:
            for frame in _frames(clip):
                any_frame = True
                scaled = frame.reformat(width, height, "rgb24", interpolation="BICUBIC")
                yield scaled.to_ndarray().astype(np.uint8, copy=False)
        if not any_frame:
            return


def lively(clips: Sequence[Path]) -> list[Path]:
    """The clips worth using, those with the most lines first."""
    sized = [(-lines, clip) for clip in clips if (lines := _lines(clip)) >= _LEAST_LINES]
    return [clip for _, clip in sorted(sized)]


def _lines(clip: Path) -> int:
    """How high a clip's pictures are; 0 where it has none or next to nothing in them."""
    try:
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            seconds = float(container.duration or 0) / 1e6
            pixels = stream.width * stream.height * seconds * float(stream.average_rate or 25)
            bits = 8 * clip.stat().st_size / pixels if pixels else 0.0
            return stream.height if seconds >= 1 and bits >= _LEAST_BITS else 0
    except (av.error.FFmpegError, IndexError, AttributeError):
        return 0


def _frames(clip: Path) -> Iterator[av.VideoFrame]:
    try:
        with av.open(str(clip)) as container:
            yield from container.decode(video=0)
    except av.error.FFmpegError:  # what came before is as good as any
        return


def drawn(seed: int, width: int, height: int) -> Iterator[Pixels]:
    """Scene after scene, without end."""
    random = np.random.default_rng(seed)
    grain = [_noise(random, width, height) for _ in range(6)]
    while True:
        yield from _scene(random, width, height, grain)


def _scene(
    random: np.random.Generator, width: int, height: int, grain: Sequence[NDArray[np.int16]]
) -> Iterator[Pixels]:
    """A camera that pans over a texture with another one in front that shimmers, and things that cross it."""
    count = int(random.integers(*_SCENE_FRAMES))
    back = _Layer(random, width, height, count)
    front = _Layer(random, width, height, count)
    things = [_Thing(random, width, height) for _ in range(_OBJECTS)]
    for number in range(count):
        picture = back.seen(number) + (front.seen(number) - 128) // _SHIMMER
        for thing in things:
            thing.draw(picture, number)
        noise = grain[int(random.integers(len(grain)))]
        noise = np.roll(noise, tuple(random.integers(0, (height, width))), (0, 1))
        yield np.clip(picture + noise[..., None], 0, 255).astype(np.uint8)


class _Layer:
    """A texture, and the window through which a hand-held camera sees it."""

    def __init__(self, random: np.random.Generator, width: int, height: int, count: int) -> None:
        self._canvas = _texture(random, round(width * _MARGIN), round(height * _MARGIN)).astype(np.int16)
        self._size = height, width
        room = np.array(self._canvas.shape[:2]) - self._size
        pan = random.uniform(-0.3, 0.3, 2) * room / count * np.arange(count)[:, None]
        shake = np.cumsum(random.normal(0, 0.6, (count, 2)), axis=0)
        self._corners = np.clip(random.uniform(0.3, 0.7, 2) * room + pan + shake, 0, room).astype(int)

    def seen(self, number: int) -> NDArray[np.int16]:
        top, left = self._corners[number]
        height, width = self._size
        return self._canvas[top : top + height, left : left + width].copy()


class _Thing:
    """A patch of texture on its way."""

    def __init__(self, random: np.random.Generator, width: int, height: int) -> None:
        side = int(random.uniform(0.15, 0.4) * height)
        self._patch = _texture(random, side, side).astype(np.int16)
        across = np.linspace(-1, 1, side)
        self._inside = (across[:, None] ** 2 + across**2 < 1)[..., None]
        self._start = random.uniform(0, 0.6, 2) * (height, width)
        self._speed = random.uniform(-0.004, 0.004, 2) * (height, width)

    def draw(self, picture: NDArray[np.int16], number: int) -> None:
        side = len(self._patch)
        limit = np.array(picture.shape[:2]) - side
        top, left = np.clip(self._start + self._speed * number, 0, limit).astype(int)
        view = picture[top : top + side, left : left + side]
        np.copyto(view, self._patch, where=self._inside)


def _texture(random: np.random.Generator, width: int, height: int) -> Pixels:
    """uint8 [height, width, 3] whose spectrum falls like 1/f; colours are weaker than lightness."""
    lightness = _falling(random, width, height)
    tint = _falling(random, width, height)
    base = random.uniform(80, 170, 3)
    weights = random.uniform(-18, 18, 3)
    levels = base + 45 * lightness[..., None] + tint[..., None] * weights
    found: Pixels = np.clip(levels, 0, 255).astype(np.uint8)
    return found


def _falling(random: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequency = np.sqrt(down**2 + across**2)
    frequency[0, 0] = 1.0
    phases = np.exp(2j * np.pi * random.random(frequency.shape))
    field = np.fft.irfft2(phases / frequency**_FALL, (height, width))
    found: NDArray[np.float32] = ((field - field.mean()) / field.std()).astype(np.float32)
    return found


def _noise(random: np.random.Generator, width: int, height: int) -> NDArray[np.int16]:
    return np.rint(random.normal(0, _GRAIN, (height, width))).astype(np.int16)
