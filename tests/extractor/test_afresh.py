"""The second way to the same pictures: every one of them decoded, each at its own time."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import VideoError
from core.types import Look, Sampling
from extractor.media.afresh import OwnTimes, pictures_afresh
from extractor.media.packets import Losses
from extractor.media.reader import Picture, Reader
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import number_of, numbered
from tests.extractor.test_wrong_times import film, moved

F = Fraction
LOOK = Look(size=32)


def at(fps: float) -> Sampling:
    return Sampling(fps=fps, clip_seconds=1 / fps)


def facts_of(pictures: list[Picture]) -> list[tuple[float, float, bytes]]:
    return [(each.t, each.end, each.pixels.tobytes()) for each in pictures]


def planned(path: Path, sampling: Sampling) -> list[Picture]:
    with Reader(path) as reader:
        return list(reader.pictures(sampling, LOOK))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv"])
@pytest.mark.parametrize("fps", [0.5, 1.0, 7.0])
def test_each_picture_is_the_one_that_was_written_for_that_time(
    tmp_path: Path, suffix: str, fps: float
) -> None:
    path = tmp_path / f"film{suffix}"
    write_video(path, numbered(100), Encoding(fps=F(25), gop=30, bframes=2))
    found = list(pictures_afresh(path, at(fps), LOOK))
    assert [number_of(each.pixels) for each in found] == [round(each.t * 25) for each in found]
    assert len(found) == 4 * fps
    assert facts_of(found) == facts_of(planned(path, at(fps)))


def test_it_agrees_with_the_reader_on_every_good_video(videos: Path) -> None:
    for path in sorted(videos.iterdir()):
        for fps in (0.3, 3.0):
            again = list(pictures_afresh(path, at(fps), LOOK))
            assert facts_of(again) == facts_of(planned(path, at(fps))), path.name


def test_where_one_time_is_wrong_it_goes_by_the_readers_clock(tmp_path: Path) -> None:
    path = moved(film(tmp_path / "film.mkv", 200), 80, 1000)
    assert facts_of(list(pictures_afresh(path, at(5), LOOK))) == facts_of(planned(path, at(5)))


def test_what_is_no_video_is_refused_as_by_the_reader(broken: Path) -> None:
    for name in ("truncated.mp4", "sound.m4a", "encrypted.mp4", "empty.mp4"):
        with pytest.raises(VideoError, match=name):
            list(pictures_afresh(broken / name, at(1), LOOK))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(points="uniform", count=7),
        Sampling(points="keyframes"),
        Sampling(points="shots", fps=0.3),
        Sampling(preset="clip2video-msvd"),
        Sampling(skip_still=0.05),
    ],
    ids=str,
)
def test_it_agrees_with_the_reader_on_points_of_every_kind(videos: Path, sampling: Sampling) -> None:
    for name in ("red-then-blue.mp4", "vfr.mkv", "late.mp4"):
        found = list(pictures_afresh(videos / name, sampling, LOOK))
        assert facts_of(found) == facts_of(planned(videos / name, sampling))


def own_times(*stamps: int | None) -> list[tuple[Fraction, Fraction]]:
    """What becomes of pictures with these time stamps, a second each."""
    streams = SimpleNamespace(audio=[], video=[SimpleNamespace(start_time=3, time_base=F(1))])
    container = SimpleNamespace(format=SimpleNamespace(name="matroska,webm"), streams=streams)
    stream: Any = SimpleNamespace(time_base=F(1), average_rate=F(1), guessed_rate=None, container=container)
    frames: Any = [SimpleNamespace(pts=stamp, dts=None, duration=1, key_frame=False) for stamp in stamps]
    return [(shown.t, shown.end) for shown in OwnTimes(stream, F(3), Losses()).shown(frames)]


def test_stamps_in_order_are_taken_as_they_are() -> None:
    assert own_times(3, 4, 9, 90) == [(F(n), F(n + 1)) for n in (0, 1, 6, 87)]
    assert own_times(7) == [(F(4), F(5))]
    assert own_times() == []


def test_from_the_first_stamp_that_cannot_be_right_the_clock_says_when() -> None:
    assert [t for t, _ in own_times(3, 4, None, 6)] == [0, 1, 2, 3]
    assert [t for t, _ in own_times(3, 4, 500, 6, 7)] == [0, 1, 2, 3, 4]
    assert [t for t, _ in own_times(None, None)] == [0, 1]


def chosen(media: Path) -> list[Path]:
    """The smallest real file of each kind of container that can be decoded."""
    rows = [json.loads(line) for line in (media / "videos.jsonl").read_text().splitlines()]
    good = [media / "videos" / row["file"] for row in rows if row["status"] == "ok" and not row["still"]]
    kinds: dict[str, Path] = {}
    for path in sorted(good, key=lambda path: path.stat().st_size):
        kinds.setdefault(path.suffix, path)
    return list(kinds.values())


def test_it_agrees_with_the_reader_on_a_real_file_of_each_kind(media: Path) -> None:
    paths = chosen(media)
    assert len(paths) > 8
    for path in paths:
        again = list(pictures_afresh(path, at(2), LOOK))
        assert facts_of(again) == facts_of(planned(path, at(2))), path.name
