"""A Look at pictures: as near to the reference's as it says, upright, in shape."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from core.types import Look, Sampling, Scaler
from extractor.media.picture import Lens, Pixels, degrees, trimmed, turned
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import corner_colours, corners


def first(path: Path, look: Look) -> Pixels:
    with Reader(path) as reader:
        return next(iter(reader.pictures(Sampling(), look))).pixels


def noise(height: int, width: int) -> Iterator[Pixels]:
    """Smooth colours with some grain, so that every scaler has something to get wrong."""
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    picture = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width] + random.normal(0, 20, (height, width, 3))
    yield np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def grainy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grainy") / "grainy.mp4"
    write_video(path, noise(361 // 2 * 2, 642), Encoding(crf=5))
    return path


def reference(path: Path, size: int, mode: InterpolationMode) -> Pixels:
    """open_clip's transform without its normalising."""
    with av.open(str(path)) as container:
        image = next(container.decode(video=0)).to_image()  # type: ignore[no-untyped-call]
    transform = Compose([Resize(size, interpolation=mode), CenterCrop(size)])
    return np.asarray(transform(image))


@pytest.mark.parametrize("resize", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [32, 97, 224, 500])
def test_scale_pillow_is_bit_equal_to_the_reference(grainy: Path, size: int, resize: str) -> None:
    found = first(grainy, Look(size=size, scale="pillow", resize=resize))  # type: ignore[arg-type]
    assert np.array_equal(found, reference(grainy, size, InterpolationMode(resize)))


@pytest.mark.parametrize("resize", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [32, 97, 224, 500])
def test_scale_torch_is_within_one_grey_level_of_it(grainy: Path, size: int, resize: str) -> None:
    found = first(grainy, Look(size=size, resize=resize))  # type: ignore[arg-type]
    expected = reference(grainy, size, InterpolationMode(resize))
    assert np.abs(found.astype(int) - expected).max() <= 1


TURNS = {  # degrees clockwise, mirrored: what a player shows in the corners
    (0, False): "rgbw", (90, False): "brwg", (180, False): "wbgr", (270, False): "gwrb",
    (0, True): "grwb", (90, True): "rbgw", (180, True): "bwrg", (270, True): "wgbr",
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(("turn", "mirror"), TURNS)
@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_pictures_stand_upright(tmp_path: Path, suffix: str, turn: int, mirror: bool, fit: str) -> None:
    path = tmp_path / f"turned{suffix}"
    write_video(path, [corners(120, 128)] * 3, Encoding(turn=turn, mirror=mirror))
    with Reader(path) as reader:
        picture = next(iter(reader.pictures(Sampling(), Look(size=32, fit=fit))))  # type: ignore[arg-type]
    assert corner_colours(picture.pixels) == TURNS[turn, mirror]


def test_turning_a_wide_picture_crops_its_middle(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    picture = np.full((64, 192, 3), 20, np.uint8)
    picture[:, 64:128] = corners(64, 64)
    write_video(path, [picture] * 2, Encoding(turn=90, crf=5))
    assert corner_colours(first(path, Look(size=64))) == "brwg"


@pytest.mark.parametrize(("sar", "sees"), [(True, "rgbw"), (False, "????")])
def test_wide_picture_elements_are_stretched_as_a_player_does(tmp_path: Path, sar: bool, sees: str) -> None:
    """Square corners in the middle of 1:2 elements: only stretched do they fill the middle square."""
    path = tmp_path / "stretched.mp4"
    picture = np.full((96, 96, 3), 20, np.uint8)
    picture[:, 24:72] = corners(96, 48)
    write_video(path, [picture] * 2, Encoding(sar=Fraction(2), crf=5))
    assert corner_colours(first(path, Look(size=96, sar=sar))) == sees


@pytest.mark.parametrize("scale", ["torch", "pillow", "swscale"])
@pytest.mark.parametrize("shape", [(2, 4000), (4000, 2), (2, 2), (64, 2)])
def test_extreme_shapes_give_a_picture_and_no_mountain_of_memory(
    tmp_path: Path, shape: tuple[int, int], scale: str
) -> None:
    path = tmp_path / "thin.mkv"
    write_video(path, [np.full((*shape, 3), 128, np.uint8)])
    found = first(path, Look(size=224, scale=scale))  # type: ignore[arg-type]
    assert found.shape == (224, 224, 3) and np.abs(found.astype(int) - 128).max() <= 3
    assert max(trimmed(*shape, Fraction(1))) <= max(64, 16 * min(shape))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_tall_picture_is_cropped_as_the_reference_does(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tall{suffix}"
    write_video(path, noise(642, 360), Encoding(crf=5))
    for size in (32, 34):
        found = first(path, Look(size=size, scale="pillow"))
        assert np.array_equal(found, reference(path, size, InterpolationMode.BICUBIC))


def test_a_matrix_without_tables_is_read_as_its_next_of_kin() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), "rgb24").reformat(
        format="yuv420p"
    )
    frame.colorspace = 10  # BT.2020 constant luminance
    found = Lens(Look(size=32), None)(frame)
    assert np.abs(found.astype(int) - 128).max() <= 3


FORMATS = (
    *(
        "yuv420p",
        "yuvj420p",
        "yuv422p",
        "yuv444p",
        "yuv440p",
        "yuv411p",
        "yuva420p",
        "nv12",
        "nv21",
        "yuyv422",
    ),
    *(
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p12le",
        "p010le",
        "gray",
        "gray10le",
        "ya8",
        "rgba",
        "bgra",
        "gbrp",
    ),
    *("gbrap", "rgb24", "rgb48le", "rgb565le"),
)
MATRICES = range(18)  # of H.273: RGB, YCgCo, ICtCp, BT.2020 with constant luminance, reserved numbers
LOOKS = (
    Look(size=32),
    Look(size=32, scale="pillow"),
    Look(size=32, scale="swscale"),
    Look(size=32, hdr="tonemap"),
)


FILTERED = Look(size=32, fit="ffmpeg", resize="bilinear")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_with_every_matrix_gives_a_picture(kind: str) -> None:
    grey = av.VideoFrame.from_ndarray(np.full((50, 66, 3), 128, np.uint8), "rgb24").reformat(format=kind)
    for look in (*LOOKS, FILTERED):
        lens = Lens(look, None)
        for grey.colorspace in MATRICES:
            found = lens(grey)
            assert found.shape == (32, 32, 3) and found.dtype == np.uint8
            if grey.colorspace or not kind.startswith(("yuv", "nv", "p0")):  # RGB in YUV has no grey
                assert np.abs(found.astype(int) - 128).max() <= 4, (look, grey.colorspace)


@pytest.mark.parametrize("matrix", [3, 8, 10, 11, 12, 13, 14, 15])
def test_a_matrix_without_tables_is_read_alike_by_the_filter_and_without_it(matrix: int) -> None:
    colours = np.random.default_rng(3).integers(0, 256, (50, 66, 3), np.uint8)
    lens = Lens(FILTERED, None)
    found = []
    for said in (9, matrix, 1, matrix):
        frame = av.VideoFrame.from_ndarray(colours, "rgb24").reformat(format="yuv420p")
        frame.colorspace = said
        found.append(lens(frame))
        assert frame.colorspace == said  # others read it too
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[3])
    assert not np.array_equal(found[0], found[2])


def test_a_palette_is_looked_up() -> None:
    colours = np.zeros((256, 4), np.uint8)
    colours[7] = (255, 200, 90, 30)  # alpha, red, green, blue
    frame = av.VideoFrame.from_ndarray((np.full((40, 40), 7, np.uint8), colours), "pal8")  # type: ignore[arg-type]
    for look in LOOKS:
        assert np.abs(Lens(look, None)(frame)[16, 16].astype(int) - (200, 90, 30)).max() <= 1


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("sar", [None, Fraction(2), Fraction(3, 4)])
@pytest.mark.parametrize("turn", [0, 90])
def test_all_ways_of_scaling_show_the_same(
    tmp_path: Path, look: Look, sar: Fraction | None, turn: int
) -> None:
    path = tmp_path / "grainy.mp4"
    write_video(path, noise(180, 320), Encoding(crf=5, sar=sar or Fraction(1), turn=turn))
    for fit in ("crop", "squash"):
        found, ours = (first(path, replace(each, fit=fit)) for each in (look, Look(size=32)))
        assert np.abs(found.astype(int) - ours).mean() <= 6, fit  # another shape or turn: 20 and more


def test_untagged_hd_means_nothing_to_what_has_no_matrix() -> None:
    picture = next(noise(720, 722))
    for kind in ("rgb24", "gbrp", "rgba", "gray"):
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=kind)
        plain, other = (Lens(Look(size=64, untagged_hd=way), None)(frame) for way in ("601", "709"))
        assert np.array_equal(plain, other), kind


@pytest.mark.parametrize(
    ("height", "width", "turn", "is_hd"),
    [
        (720, 720, 0, True),
        (536, 1280, 0, True),
        (536, 1280, 90, True),
        (1280, 536, 0, True),
        (578, 720, 0, True),
        (576, 1278, 0, False),
        (576, 1278, 90, False),
    ],
)
def test_untagged_hd_can_be_read_as_bt709(
    tmp_path: Path, height: int, width: int, turn: int, is_hd: bool
) -> None:
    path = tmp_path / "hd.mp4"
    picture = np.full((height, width, 3), (204, 90, 65), np.uint8)
    write_video(path, [picture], Encoding(turn=turn))
    as_601, as_709 = first(path, Look(size=32))[16, 16], first(path, Look(size=32, untagged_hd="709"))[16, 16]
    assert np.abs(as_601.astype(int) - (204, 90, 65)).max() <= 3
    assert np.abs(as_709.astype(int) - ((214, 99, 62) if is_hd else as_601)).max() <= 3


def test_every_turn_is_told_in_degrees() -> None:
    picture = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    for quarter in range(4):
        turn = {0: (1, 0, 0, 1), 1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[quarter]
        assert degrees(turn) == 90 * quarter
        assert np.array_equal(turned(picture, turn), np.rot90(picture, -quarter))


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("scale", ["swscale", "torch", "pillow"])
def test_a_picture_that_was_looked_at_is_gone_without_the_collector(tmp_path: Path, scale: Scaler) -> None:
    """Decoders make few objects and large ones: where a frame kept itself, hundreds would be in memory."""
    drawn = [np.full((64, 96, 3), n, np.uint8) for n in range(40)]
    write_video(tmp_path / "film.mp4", iter(drawn), Encoding(fps=Fraction(10)))
    look = Look(32, scale=scale)
    with Reader(tmp_path / "film.mp4") as reader:
        pictures = reader.pictures(Sampling(fps=10.0), look)
        next(pictures)
        gc.collect()
        gc.disable()
        try:
            seen = sum(1 for _ in pictures)
            left = gc.collect()
        finally:
            gc.enable()
    assert seen == 39 and left < seen


def test_memory_that_torch_does_not_get_is_missing_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, lens = av.VideoFrame(64, 48, "yuv420p"), Lens(Look(32, scale="torch"), None)

    def too_much(*given: object, **also: object) -> torch.Tensor:
        return torch.empty(1 << 50, dtype=torch.uint8)

    monkeypatch.setattr(torch.nn.functional, "interpolate", too_much)
    with pytest.raises(MemoryError):
        lens(frame)
    monkeypatch.setattr(
        torch.nn.functional, "interpolate", lambda *given, **also: torch.ones(2) @ torch.ones(3)
    )
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):  # what is a bug stays one
        lens(frame)
