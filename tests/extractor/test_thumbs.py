from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from core.types import Look, Sampling, Thumbs
from extractor.media.picture import UPRIGHT, Lens, Pixels, Turn, Whole
from extractor.media.reader import Reader
from extractor.media.thumbs import MOST_TILES, Strip, tile
from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import PLAIN_COLOURS
from tests.extractor.test_picture import noise

TURNED: Turn = (0, 1, -1, 0)


def whole(picture: Pixels, turn: Turn = UPRIGHT) -> Whole:
    height, width = picture.shape[:2]
    return Whole(height, width, turn, np.zeros((1, 1, 3), np.uint8), lambda size: picture)


def thumbs_of(path: Path, sampling: Sampling, *, thumbs: bool = True) -> tuple[Thumbs, list[float]]:
    with Reader(path, thumbs=thumbs) as reader:
        times = [picture.t for picture in reader.pictures(sampling, Look(32))]
        return reader.thumbs, times


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG" and not image.getexif()
    return image.convert("RGB")


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(fps=5, stride_seconds=1.5), Sampling(fps=0.25)])
def test_a_tile_a_clip_stride_is_kept_of_the_wanted_pictures(videos: Path, sampling: Sampling) -> None:
    thumbs, times = thumbs_of(videos / "red.mp4", sampling)
    steps = [int(t // sampling.stride_seconds) for t in times]
    assert list(thumbs.times) == [t for i, t in enumerate(times) if i == 0 or steps[i] > steps[i - 1]]
    assert len(thumbs.tiles) == len(thumbs.times)


def test_a_tile_shows_what_is_shown_then(videos: Path) -> None:
    thumbs, _ = thumbs_of(videos / "red-then-blue.mp4", Sampling())
    shown = [np.asarray(opened(data)) for data in thumbs.tiles]
    assert thumbs.times == (0.0, 4.0)
    for picture, colour in zip(shown, ("red", "blue"), strict=True):
        away = np.abs(picture.astype(int) - PLAIN_COLOURS[colour]).sum(axis=2)
        assert (away < 60).mean() > 0.05, colour


def test_without_them_the_pictures_are_the_same(videos: Path) -> None:
    with_thumbs, times = thumbs_of(videos / "red.mp4", Sampling())
    without, same = thumbs_of(videos / "red.mp4", Sampling(), thumbs=False)
    assert with_thumbs.tiles and without == Thumbs() and times == same


@pytest.mark.parametrize(
    ("shape", "sar", "turn", "size"),
    [
        ((1080, 1920), 1, UPRIGHT, (160, 90)),
        ((576, 720), Fraction(64, 45), UPRIGHT, (160, 90)),
        ((1080, 1920), 1, TURNED, (160, 284)),
        ((576, 720), Fraction(64, 45), TURNED, (160, 284)),
        ((60, 100), 1, UPRIGHT, (100, 60)),  # never enlarged
        ((1600, 100), 1, UPRIGHT, (20, 320)),
        ((8, 128), 1, UPRIGHT, (128, 8)),
        ((1, 1), 1, UPRIGHT, (1, 1)),
    ],
)
def test_a_tile_has_the_shape_that_a_player_shows(
    shape: tuple[int, int], sar: Fraction, turn: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    made = tile(whole(np.zeros((*shape, 3), np.uint8), turn), Fraction(sar))
    assert made.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("look", [{}, {"scale": "pillow"}, {"scale": "swscale"}, {"fit": "squash"}])
@pytest.mark.parametrize("size", [32, 224, 336])
def test_a_tile_is_made_of_what_is_small_already_and_shows_the_same(size: int, look: dict[str, str]) -> None:
    """An encoder of small pictures has too little for a tile; it is drawn anew then."""
    frame = VideoFrame.from_ndarray(next(noise(360, 640)), "rgb24").reformat(format="yuv420p")
    taken: list[Whole] = []
    Lens(Look(size).but(look), None)(frame, taken.append)
    wide = taken[0].at_least((90, 160))
    assert wide.shape[0] < 360 or size == 32
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    best = np.asarray(image.resize((160, 90), Image.Resampling.BILINEAR))
    assert np.abs(tile(taken[0], Fraction(1)).astype(int) - best).mean() < 10  # of a shifted one: 40


def test_a_turned_video_is_upright(videos: Path) -> None:
    thumbs, _ = thumbs_of(videos / "rotated.mp4", Sampling())
    assert opened(thumbs.tiles[0]).size == (90, 160)
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :10] = 255  # what is at the left is at the top after a quarter turn clockwise
    made = tile(whole(picture, TURNED), Fraction(1))
    assert made[:5].mean() > 200 and made[-40:].mean() < 10


def test_stretched_picture_elements_are_as_a_player_shows_them(tmp_path: Path) -> None:
    grey = [np.full((90, 80, 3), 90, np.uint8)] * 5
    write_video(tmp_path / "a.mp4", grey, Encoding(fps=Fraction(5), sar=Fraction(2)))
    thumbs, _ = thumbs_of(tmp_path / "a.mp4", Sampling())
    assert opened(thumbs.tiles[0]).size == (160, 90)


def test_a_long_video_has_600_tiles_at_most_as_if_its_steps_had_always_been_longer() -> None:
    strip, pixels = Strip(4.0, Fraction(1)), np.zeros((4, 4, 3), np.uint8)
    counts = []
    for second in range(30_000):
        take = strip.wants(Fraction(second))
        if take is not None:
            take(whole(pixels))
        counts.append(len(strip.thumbs().tiles) if second % 1000 == 0 else 0)
    times = strip.thumbs().times
    assert max(counts) <= MOST_TILES
    assert MOST_TILES / 2 <= len(times) <= MOST_TILES
    assert times == tuple(float(64 * n) for n in range(len(times)))


def test_a_strip_of_very_sparse_pictures_keeps_them_all() -> None:
    strip, pixels = Strip(0.1, Fraction(1)), np.zeros((4, 4, 3), np.uint8)
    for second in (0, 100, 1000):
        take = strip.wants(Fraction(second))
        assert take is not None
        take(whole(pixels))
    assert strip.thumbs().times == (0.0, 100.0, 1000.0)


def test_noise_fits_into_few_bytes() -> None:
    strip = Strip(1.0, Fraction(1))
    noise: Pixels = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    take = strip.wants(Fraction(0))
    assert take is not None
    take(whole(noise))
    assert len(strip.thumbs().tiles[0]) < 20_000
