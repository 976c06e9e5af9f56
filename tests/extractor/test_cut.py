"""A cut shows what the reader says is shown in those seconds, and sounds as it does."""

from __future__ import annotations

import io
import json
import logging
from fractions import Fraction
from itertools import accumulate, chain, cycle, islice
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from core.errors import Error, UsageError
from core.types import Look, Sampling
from extractor.media.cut import cut, still
from extractor.media.reader import Reader
from extractor.media.sound import RATE
from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import plain_frames
from tests.conftest import FPS, shapes, write_film
from tests.extractor.cuts import Compared, compared, pictures, sound

FILM = shapes("red", "blue")  # 8 s
LEAST_PSNR = 30.0
IRREGULAR = [Fraction(n * n, 800) for n in range(80)]
UNEVEN = [Fraction(t, 100) for t in accumulate(chain([0], islice(cycle((1, 3, 40, 1, 20, 4)), 79)))]
WAYS: dict[str, tuple[Encoding, list[Fraction] | None]] = {
    "h264.mp4": (Encoding(fps=FPS, gop=20, bframes=3), None),
    "h264.ts": (Encoding(fps=FPS, gop=20, bframes=3, audio=(Fraction(0), Fraction(8))), None),
    "hevc.mkv": (Encoding("hevc", fps=FPS, gop=20), None),
    "vp9.webm": (Encoding("vp9", fps=FPS, gop=20), None),
    "av1.mkv": (Encoding("av1", fps=FPS, gop=20), None),
    "mpeg4.avi": (Encoding("mpeg4", fps=FPS, gop=20), None),
    "rotated.mp4": (Encoding(fps=FPS, gop=20, turn=90), None),
    "mirrored.mp4": (Encoding(fps=FPS, gop=20, turn=270, mirror=True), None),
    "stretched.mkv": (Encoding(fps=FPS, gop=20, sar=Fraction(3, 2)), None),
    "vfr.mkv": (Encoding(gop=20), IRREGULAR),
    "uneven.mp4": (Encoding(gop=20), UNEVEN),
    "late.mp4": (Encoding(gop=20), [Fraction(3, 2) + n / FPS for n in range(80)]),
    "one-key.mp4": (Encoding(fps=FPS, gop=1000), None),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut")
    for name, (encoding, times) in WAYS.items():
        write_video(folder / name, plain_frames(FILM, FPS, 160, 90), encoding, times=times)
    return folder


def is_right(found: Compared) -> bool:
    return found.psnr > LEAST_PSNR and found.late_s < 0.002 and abs(found.long_s) < 0.002


@pytest.mark.parametrize("name", WAYS)
def test_a_cut_shows_the_pictures_of_its_seconds_at_their_times(
    made: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "extractor.media.onward")
    for start, end in ((0.0, 1.0), (2.37, 4.6), (5.0, 5.05), (6.9, 99.0)):
        found = compared(made / name, start, end, tmp_path / "cut.mp4")
        assert is_right(found), (start, found)
    assert not caplog.records  # the short way did


def test_any_browser_can_play_a_cut(made: Path, tmp_path: Path) -> None:
    to = tmp_path / "cut.mp4"
    clip = cut(made / "stretched.mkv", 1.0, 3.0, to)
    assert (clip.width, clip.height, clip.has_sound) == (240, 90, False)
    data = to.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays before all of it is there
    with av.open(str(to)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == ("h264", "yuv420p", 240, 90)
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)
        assert codec.color_range == 1  # limited


def test_a_turned_film_is_cut_upright_and_no_larger_than_asked(made: Path, tmp_path: Path) -> None:
    clip = cut(made / "rotated.mp4", 1.0, 2.0, tmp_path / "cut.mp4", most_side=81)
    assert (clip.width, clip.height) == (46, 80)


def heard(path: Path) -> tuple[float, float]:
    samples, first = sound(path)
    loud = np.flatnonzero(np.abs(samples) > 0.05)
    return first + float(loud[0]) / RATE, first + float(loud[-1]) / RATE


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_sound_stays_with_its_pictures(tmp_path: Path, suffix: str) -> None:
    path, to = tmp_path / f"film.{suffix}", tmp_path / "cut.mp4"
    loud = (Fraction(0), Fraction(8)) if suffix == "avi" else (Fraction(4), Fraction(6))  # avi knows no gap
    write_film(path, FILM, Encoding("mpeg4" if suffix == "avi" else "h264", fps=FPS, gop=20, audio=loud))
    assert cut(path, 3.25, 7.0, to).has_sound
    begins, ends = heard(to)
    assert begins == pytest.approx(max(0.0, float(loud[0]) - 3.25), abs=0.03)
    assert ends == pytest.approx(min(3.75, float(loud[1]) - 3.25), abs=0.06)


def test_seconds_without_sound_have_no_track_of_it(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mkv", FILM, Encoding(fps=FPS, audio=(Fraction(5), Fraction(6))))
    assert not cut(tmp_path / "a.mkv", 0.0, 2.0, tmp_path / "cut.mp4").has_sound


def test_what_begins_behind_the_end_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^start: the video ends at 8 s\.$"):
        cut(made / "h264.mp4", 8.0, 9.0, tmp_path / "cut.mp4")


def test_a_video_put_together_of_two_is_decoded_whole(made: Path, tmp_path: Path) -> None:
    once = (made / "h264.ts").read_bytes()
    (tmp_path / "twice.ts").write_bytes(once + once)
    assert is_right(compared(tmp_path / "twice.ts", 9.3, 10.3, tmp_path / "cut.mp4"))


@pytest.mark.parametrize("name", WAYS)
def test_a_still_is_the_picture_shown_then_in_the_size_of_a_thumbnail(made: Path, name: str) -> None:
    sampling = Sampling(fps=2, stride_seconds=0.5)
    with Reader(made / name, thumbs=True) as reader:
        for _ in reader.pictures(sampling, Look(64)):
            pass
        thumbs = reader.thumbs
    for t, tile in list(zip(thumbs.times, thumbs.tiles, strict=True))[::5]:
        ours, own = (Image.open(io.BytesIO(data)) for data in (still(made / name, t, Look(64)), tile))
        assert ours.size == own.size
        assert np.abs(np.asarray(ours, float) - np.asarray(own, float)).mean() < 1


QUICK = (
    "media3__sample_edit_list_no_sync_frame_before_edit.mp4",
    "media3__sample_edit_list_only_preroll_sync_sample.mp4",
    "filetype__fixture.mxf",
    "mdn__pig.webm",
    "mediabunny__cursed-vfr.mp4",
    "intel__bird.mkv",
    "mp4parse__alpha_video_fixed.avif",  # its pictures are of a later stream, and it has no sound
)


PARTS = 8  # all files in one test take longer than a test may


def real(path: Path, to: Path) -> Compared | None:
    """A second from its middle, or None for what is no video."""
    try:
        with Reader(path) as reader:
            for _ in reader.planned(Sampling(points="keyframes"), Look(16)):
                pass
            hdr = "tonemap" if reader.facts.transfer == "pq" else "none"
        theirs = pictures(path, hdr)
    except Error:
        return None
    start = round(theirs[-1].end * 0.55, 3)
    return compared(path, start, start + 1, to, theirs)


@pytest.mark.parametrize("name", QUICK)
def test_real_files_are_cut_as_they_are_read(media: Path, tmp_path: Path, name: str) -> None:
    found = real(media / "videos" / name, tmp_path / "cut.mp4")
    assert found is not None and is_right(found), found


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_all_real_files_are_cut_as_they_are_read(media: Path, tmp_path: Path, part: int) -> None:
    rows = [json.loads(line) for line in (media / "videos.jsonl").read_text().splitlines()]
    wrong = []
    for name in sorted(row["file"] for row in rows)[part::PARTS]:
        path = media / "videos" / name
        if path.stat().st_size < 8 << 20 and "long_1080p" not in name:
            found = real(path, tmp_path / "cut.mp4")
            if found is not None and not is_right(found):
                wrong.append((name, found))
    assert not wrong
