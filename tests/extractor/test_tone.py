"""HDR as a plain screen shows it: by the published curves, hues kept, and nothing else touched."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from core.types import Look
from extractor.cli import main
from extractor.media.picture import Lens
from extractor.media.tone import _of_hlg, _of_pq, mapped
from tests.extractor.exact import Floats
from tests.extractor.shelf import Shelf

PQ, HLG, SDR = 16, 18, 1
BT709, BT2020 = 1, 9
WHITE_NITS, PEAK_NITS = 203, 1000
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
FLAT, TONED = Look(size=32), Look(size=32, hdr="tonemap")


def pq(nits: Floats) -> Floats:
    """The code of a light, by SMPTE ST 2084: what a camera does, not what we do."""
    power: Floats = (nits / 10_000) ** 0.1593017578125
    code: Floats = np.power((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power), 78.84375)
    return code


def tagged(frame: VideoFrame, transfer: int, primaries: int = BT2020) -> VideoFrame:
    frame.color_trc, frame.color_primaries = transfer, primaries
    return frame


def picture(codes: Floats, transfer: int, primaries: int = BT2020) -> VideoFrame:
    """One colour all over, in 10 bits as such films are."""
    levels = np.full((64, 64, 3), np.rint(codes * 65535), np.uint16)
    frame = VideoFrame.from_ndarray(levels, "rgb48le").reformat(format="yuv444p10le")
    return tagged(frame, transfer, primaries)


def colour(frame: VideoFrame, look: Look = TONED) -> Floats:
    return Lens(look, None)(frame)[16, 16].astype(float)  # type: ignore[no-any-return]


def srgb(light: Floats) -> Floats:
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(255 * code, np.float64)


def test_the_curves_are_the_published_ones() -> None:
    for nits, code in ((100, 0.5081), (203, 0.5807), (1000, 0.7518)):
        assert _of_pq()[round(code * 65535)] * WHITE_NITS == pytest.approx(nits, rel=0.002)
        assert pq(np.array(float(nits))) == pytest.approx(code, abs=1e-4)
    for code, light in ((0.0, 0.0), (0.5, 1 / 12), (0.75, 0.26496), (1.0, 1.0)):
        assert _of_hlg()[round(code * 65535)] == pytest.approx(light, abs=1e-4)


@pytest.mark.parametrize("nits", [0.0, 1.0, 10.0, 50.0, 203.0, 600.0, 1000.0, 4000.0])
def test_greys_of_pq_follow_the_tone_curve(nits: float) -> None:
    light = min(nits, PEAK_NITS) / WHITE_NITS
    expected = srgb(np.array(light * (1 + light / (PEAK_NITS / WHITE_NITS) ** 2) / (1 + light)))
    found = colour(picture(pq(np.full(3, nits)), PQ))
    assert np.abs(found - expected).max() <= 3


def test_hues_stay_and_primaries_are_changed() -> None:
    """sRGB's orange at 100 nits, written in BT.2020, is orange again; taken for BT.709 it would be paler."""
    orange = np.array([1.0, 0.3, 0.05])
    codes = pq(100 * TO_BT2020 @ orange)
    right, pale = (colour(picture(codes, PQ, primaries)) for primaries in (BT2020, BT709))
    light = orange * 100 / WHITE_NITS
    expected = light * (1 + light.max() / (PEAK_NITS / WHITE_NITS) ** 2) / (1 + light.max())
    assert np.abs(right - srgb(expected)).max() <= 5
    assert np.ptp(pale) < np.ptp(right) - 20


def test_hlg_hardly_changes_since_it_is_made_to_be_seen_so() -> None:
    for code in (0.1, 0.25, 0.5, 0.75, 0.9):
        frame = picture(np.full(3, code), HLG)
        assert np.abs(colour(frame) - colour(frame, FLAT)).max() <= 12


@pytest.mark.parametrize("transfer", [0, SDR, 2, 6, 13, 14, 15])
def test_what_is_no_hdr_is_not_touched(transfer: int) -> None:
    frame = picture(np.array([0.7, 0.4, 0.2]), transfer)
    assert np.array_equal(Lens(TONED, None)(frame), Lens(FLAT, None)(frame))


def test_brighter_never_becomes_darker_and_the_ends_are_black_and_white() -> None:
    levels = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)[..., None].repeat(3, axis=2)
    frame = VideoFrame(16, 16, "yuv420p10le")
    for transfer in (PQ, HLG):
        found = mapped(levels, tagged(frame, transfer)).reshape(-1, 3).astype(int)
        assert found[0].tolist() == [0, 0, 0] and found[-1].tolist() == [255, 255, 255]
        assert (np.diff(found, axis=0) >= 0).all() and (np.ptp(found, axis=1) <= 1).all()


def test_a_lens_says_what_it_saw() -> None:
    lens = Lens(FLAT, None)
    said = []
    for transfer in (SDR, PQ, SDR, HLG):
        lens(picture(np.full(3, 0.5), transfer))
        said.append(lens.transfer)
    assert said == ["", "pq", "pq", "hlg"]


@pytest.mark.parametrize(
    ("file", "is_pq"),
    [
        ("media3__hdr10-video-with-sdr-container.mp4", True),
        ("media3__sample_with_colr_mdcv_and_clli.mp4", True),
        ("media3__dolbyVision-hdr.MOV", False),
    ],
)
def test_a_real_pq_film_gets_its_contrast_back(media: Path, file: str, is_pq: bool) -> None:
    with av.open(str(media / "videos" / file)) as container:
        frame = next(container.decode(video=0))
    flat, toned = Lens(FLAT, None), Lens(TONED, None)
    before, after = flat(frame).astype(float), toned(frame).astype(float)
    assert flat.transfer == ("pq" if is_pq else "hlg") and flat.rotation == toned.rotation
    if is_pq:
        assert after.std() > 1.15 * before.std()
    else:
        assert np.abs(after - before).mean() < 15


@pytest.mark.parametrize("how", ["none", "tonemap"])
def test_a_run_says_which_videos_are_hdr_and_warns_of_those_that_look_flat(
    tmp_path: Path, media: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(media / "videos" / "media3__sample_with_it35_track.mp4")
    assert main(shelf.flags(f"--hdr={how}")) == 0
    assert shelf.report()["hdr"] == {"pq": 1, "hlg": 0}
    assert ("--hdr tonemap" in capsys.readouterr().err) == (how == "none")
