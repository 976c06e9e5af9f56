"""Files of strangers, within bounds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import VideoError
from core.query import Frames
from core.types import Look, Sampling
from extractor.media import unknown
from extractor.media.reader import Picture, Reader
from extractor.media.unknown import Bounds, frames_of
from tests.server.hostile import endless
from tests.server.sent import picture

LOOK, SAMPLING, BOUNDS = Look(size=32), Sampling(fps=2.0), Bounds(1_000_000, 60.0)


def one(path: Path, sampling: Sampling | None = SAMPLING, bounds: Bounds = BOUNDS) -> Frames | VideoError:
    (found,) = frames_of([path], LOOK, sampling, bounds)
    return found


@pytest.mark.parametrize("name", ["red.mp4", "late.mp4", "rotated.mp4", "vfr.mkv", "short.webm"])
def test_a_video_gives_the_pictures_that_extraction_would_take(videos: Path, name: str) -> None:
    found = one(videos / name)
    assert isinstance(found, Frames) and found.sampling == SAMPLING
    with Reader(videos / name) as reader:
        wanted = [each for each in reader.planned(SAMPLING, LOOK) if isinstance(each, Picture)]
    assert found.times == tuple((each.t, each.end, each.shot) for each in wanted)
    assert np.array_equal(found.pixels, np.stack([each.pixels for each in wanted]))


def test_a_photo_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "the file"
    path.write_bytes(picture("red"))
    for sampling in (SAMPLING, None):
        found = one(path, sampling)
        assert isinstance(found, Frames)
        assert (found.times, found.sampling, found.pixels.shape) == ((), None, (1, 32, 32, 3))


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        (Bounds(1_000_000, 9.0), "red.mp4 is longer than 9 s."),
        (Bounds(10_000, 60.0), "red.mp4 has pictures of more than 0.01 megapixels (160 × 90)."),
    ],
    ids=["seconds", "pixels"],
)
def test_a_video_beyond_its_bounds_is_refused_by_its_header(
    videos: Path, bounds: Bounds, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "planned", None)  # whatever is decoded is a bug
    assert str(one(videos / "red.mp4", bounds=bounds)) == says


def test_a_video_that_goes_on_longer_than_it_says_is_refused_too(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown, "_require_bounds", lambda *of_header: None)
    assert str(one(videos / "red.mp4", bounds=Bounds(1_000_000, 3.0))) == "red.mp4 is longer than 3 s."


def test_a_video_whose_header_is_wrong_is_refused_where_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "endless.mkv"
    assert len(endless(path)) < 1 << 20
    with Reader(path) as reader:
        assert reader.facts.seconds == 1
    assert str(one(path)) == "endless.mkv is longer than 60 s."


def test_of_a_file_that_was_cut_short_only_what_is_there_counts(videos: Path, tmp_path: Path) -> None:
    whole = (videos / "with-sound.mkv").read_bytes()
    path = tmp_path / "cut-short.mkv"
    path.write_bytes(whole[: len(whole) // 2])
    with Reader(path) as reader:
        assert reader.facts.seconds > 3.5
    found = one(path, bounds=Bounds(1_000_000, 3.5))
    assert isinstance(found, Frames) and 0 < found.times[-1][0] < 3.5


def test_more_pictures_than_can_be_held_are_refused(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "_HELD_BYTES", 5 * 32 * 32 * 3)
    assert str(one(videos / "red.mp4")) == "red.mp4 gives more than 5 pictures."


def test_where_a_photo_is_wanted_a_video_is_none(videos: Path) -> None:
    assert str(one(videos / "red.mp4", None)) == "red.mp4 is no JPEG, PNG or WebP."


@pytest.mark.parametrize(
    "name",
    [
        "empty.mp4",
        "text.mp4",
        "truncated.mp4",
        "zeros.mp4",
        "sound.m4a",
        "playlist.m3u8",
        "concat.txt",
        "encrypted.mp4",
    ],
)
def test_what_is_no_good_video_is_one_sentence_and_the_others_are_read(
    broken: Path, videos: Path, name: str
) -> None:
    wrong, good = frames_of([broken / name, videos / "short.webm"], LOOK, SAMPLING, BOUNDS)
    assert isinstance(wrong, VideoError) and str(wrong).startswith(name) and str(wrong).endswith(".")
    assert isinstance(good, Frames)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert str(one(tmp_path / "gone")) == f"gone cannot be read: {os.strerror(2)}."


def test_a_jpeg_of_several_pictures_is_a_photo(tmp_path: Path) -> None:
    path = tmp_path / "several"
    path.write_bytes(picture("red", kind="JPEG") + picture("blue", kind="JPEG"))
    shutil.copy(path, tmp_path / "the file")
    found = one(tmp_path / "the file")
    assert isinstance(found, Frames) and len(found.pixels) == 1
