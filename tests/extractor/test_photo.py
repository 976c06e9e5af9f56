"""Photos as an encoder sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from open_clip import image_transform
from PIL import Image

from core.errors import VideoError
from core.types import Look
from extractor.media.photo import is_photo, photo
from tests.server.sent import picture, png

LOOK, MOST = Look(size=32), 1_000_000


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "the picture"
        path.write_bytes(data)
        return path

    return write


def quarters(path: Path, kind: str, **how: object) -> Path:
    """Red above on the left, green on the right; blue below, and white."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32], pixels[:32, 32:], pixels[32:, :32], pixels[32:][:, 32:] = (
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
    )
    Image.fromarray(pixels).save(path, kind, **how)
    return path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_each_kind_is_read(put: Callable[[bytes], Path], kind: str) -> None:
    data = picture("red", kind=kind)
    assert is_photo(data)
    seen = photo(put(data), LOOK, MOST)
    assert seen.shape == (32, 32, 3) and seen.dtype == np.uint8
    assert np.abs(seen.astype(int) - (255, 0, 0)).max() <= 8


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO"])
def test_other_kinds_are_not(kind: str) -> None:
    assert not is_photo(picture("red", kind=kind))


def test_a_photo_is_what_open_clips_own_preprocessing_makes_of_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 161, 3), np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(noise).save(path)
    theirs = image_transform(32, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))(Image.open(path))
    ours = photo(path, LOOK, MOST).astype(int)
    assert np.abs(theirs.permute(1, 2, 0).numpy() * 255 - ours).max() <= 1.01


@pytest.mark.parametrize("untagged", ["601", "709"])
def test_colours_of_a_photo_are_no_matrix_matter(put: Callable[[bytes], Path], untagged: str) -> None:
    data = picture("#c86432", (1_400, 700))
    assert (photo(put(data), LOOK.but({"untagged_hd": untagged}), MOST) == (0xC8, 0x64, 0x32)).all()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path, kind: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    path = quarters(tmp_path / "turned", kind, exif=exif, quality=95)
    seen = photo(path, LOOK, MOST)
    corners = [tuple(int(v > 127) for v in seen[y, x]) for y, x in ((4, 4), (4, 27), (27, 4), (27, 27))]
    red, green, blue, white = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)
    assert (
        corners
        == {
            1: [red, green, blue, white],
            2: [green, red, white, blue],
            3: [white, blue, green, red],
            4: [blue, white, red, green],
            5: [red, blue, green, white],
            6: [blue, red, white, green],
            7: [white, green, blue, red],
            8: [green, white, red, blue],
        }[turn]
    )


def test_exif_that_is_none_turns_nothing(tmp_path: Path) -> None:
    path = quarters(tmp_path / "odd", "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95)
    assert (photo(path, LOOK, MOST)[4, 4] > 127).tolist() == [True, False, False]


def test_what_lets_through_is_laid_on_white(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(path)
    assert (photo(path, LOOK, MOST) == 255).all()
    Image.new("P", (32, 32), 0).save(path, transparency=0)
    assert (photo(path, LOOK, MOST) == 255).all()


@pytest.mark.parametrize(("level", "seen"), [(0xFFFF, 255), (0x8000, 128), (0, 0)])
def test_sixteen_bits_a_grey_become_eight(tmp_path: Path, level: int, seen: int) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((32, 32), level, np.uint16)).save(path)
    assert (photo(path, LOOK, MOST) == seen).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGB"])
def test_modes_become_colours(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (32, 32), "white").convert(mode).save(path, "JPEG" if mode == "CMYK" else "PNG")
    assert (photo(path, LOOK, MOST) >= 250).all()


def test_of_an_animated_one_the_first_picture_is_taken(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    for kind in ("PNG", "WEBP"):
        path = tmp_path / kind
        red.save(path, kind, save_all=True, append_images=[blue], duration=100)
        assert (photo(path, LOOK, MOST)[16, 16] > 127).tolist() == [True, False, False]


def test_a_picture_of_one_row_is_seen(put: Callable[[bytes], Path]) -> None:
    assert photo(put(picture("red", (60_000, 1))), LOOK, MOST).shape == (32, 32, 3)


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (20_000, 20_000), (1_001, 1_000)])
def test_what_its_header_says_is_too_large_is_not_decoded(
    put: Callable[[bytes], Path], width: int, height: int
) -> None:
    with pytest.raises(VideoError, match=r"^the picture has more than 1 megapixels"):
        photo(put(png(width, height, b"")), LOOK, MOST)


JPEG = picture("red", (640, 480), "JPEG")
DAMAGED = {
    "a header alone": b"\xff\xd8\xff",
    "cut short": JPEG[: len(JPEG) // 2],
    "a png of nothing": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a png without data": png(32, 32, b""),
    "webp of nothing": b"RIFF\0\0\0\0WEBPVP8 ",
    "other bytes behind": b"\xff\xd8\xff" + bytes(range(256)) * 8,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_one_sentence(put: Callable[[bytes], Path], data: bytes) -> None:
    with pytest.raises(VideoError, match=r"^the picture cannot be decoded: it is damaged or cut short\.$"):
        photo(put(data), LOOK, MOST)


def test_any_byte_may_be_wrong(put: Callable[[bytes], Path]) -> None:
    random = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "WEBP"):
        exif = Image.Exif()
        exif[0x0112] = 6
        whole = np.frombuffer(picture("red", kind=kind, exif=exif), np.uint8)
        for _ in range(60):
            data = whole.copy()
            data[random.integers(12, len(data), 3)] = random.integers(0, 256, 3)
            try:
                seen = photo(put(data.tobytes()), LOOK, MOST)
            except VideoError as error:
                assert str(error).startswith("the picture ")
            else:
                assert seen.shape == (32, 32, 3)
