"""Points that are no grid: the very pictures that a decoding of everything finds there."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from core.errors import VideoError
from core.types import Facts, Look, Sampling
from extractor.media.clock import Shown
from extractor.media.grid import exact
from extractor.media.picture import Lens
from extractor.media.points import at_points, keyframes, middles, on_shots, until_next
from extractor.media.reader import Picture, Reader
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import number_of, numbered
from tests.extractor.test_reader import CASES, LOOK, Made, damage, even

F = Fraction
COUNTS = (1, 3, 8, 50, 1000)


@dataclass(frozen=True)
class All:
    """Every picture of a file: its time, whether it is a keyframe, what it shows; and where the last ends."""

    times: list[Fraction]
    keys: list[bool]
    pixels: list[Any]
    end: Fraction


def decoded(path: Path, look: Look = LOOK) -> All:
    """By a plain loop, times by the reader's zero. Of pictures at one time the last is shown."""
    with Reader(path) as reader:
        zero = F(reader.facts.zero_s).limit_denominator(90_000)
    found: dict[Fraction, tuple[bool, Any]] = {}
    end = F(0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        lens = Lens(look, stream.sample_aspect_ratio)
        for frame in container.decode(stream):
            assert frame.pts is not None and stream.time_base is not None
            t = frame.pts * stream.time_base - zero
            rate = stream.average_rate or stream.guessed_rate or F(10**9)
            end = max(end, t + (frame.duration * stream.time_base or 1 / rate))
            found[t] = (bool(frame.key_frame), lens(frame))
    times = sorted(found)
    return All(times, [found[t][0] for t in times], [found[t][1] for t in times], end)


def uniform(held: All, count: int) -> list[int]:
    """The numbers of the pictures shown in the middles of so many equal parts."""
    middles = [F(2 * i + 1) * held.end / (2 * count) for i in range(count)]
    return list(dict.fromkeys(max(0, bisect_right(held.times, t) - 1) for t in middles))


def keys(held: All) -> list[int]:
    return [i for i, is_key in enumerate(held.keys) if is_key] or [0]


def read(path: Path, sampling: Sampling, look: Look = LOOK) -> tuple[list[Picture], Facts]:
    with Reader(path) as reader:
        return list(reader.pictures(sampling, look)), reader.facts


def check(path: Path, sampling: Sampling, held: All, expected: list[int]) -> None:
    pictures, facts = read(path, sampling)
    assert [p.t for p in pictures] == [float(held.times[i]) for i in expected]
    assert all(np.array_equal(p.pixels, held.pixels[i]) for p, i in zip(pictures, expected, strict=True))
    assert all(a.end == b.t for a, b in pairwise(pictures))
    assert pictures[-1].end == facts.seconds == float(held.end)


SOME = (
    "mp4 vfr",
    "mp4 ntsc with b-frames",
    "mp4 late",
    "mkv vfr",
    "mkv sound earlier",
    "ts",
    "webm vp9 vfr",
    "avi",
)


@pytest.fixture(scope="module", params=SOME)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    case = CASES[request.param]
    path = tmp_path_factory.mktemp("made") / f"made{case.suffix}"
    write_video(path, numbered(len(case.times)), case.encoding, case.times)
    return path, case


def test_uniform_points_are_what_is_shown_in_the_middles_of_equal_parts(made: tuple[Path, Made]) -> None:
    held = decoded(made[0])
    for count in COUNTS:
        check(made[0], Sampling(points="uniform", count=count), held, uniform(held, count))


def test_keyframes_are_all_that_are_shown(made: tuple[Path, Made]) -> None:
    held = decoded(made[0])
    assert len(keys(held)) > 1
    check(made[0], Sampling(points="keyframes"), held, keys(held))


@pytest.mark.parametrize("name", ["vfr.mkv", "late.mp4", "rotated.mp4", "short.webm", "red-then-blue.mp4"])
def test_other_points_of_other_videos_are_exact_too(videos: Path, name: str) -> None:
    held = decoded(videos / name)
    for count in COUNTS:
        check(videos / name, Sampling(points="uniform", count=count), held, uniform(held, count))
    check(videos / name, Sampling(points="keyframes"), held, keys(held))


def test_uniform_points_of_a_damaged_file_are_spread_over_what_its_packets_say(tmp_path: Path) -> None:
    path = tmp_path / "damaged.ts"
    write_video(path, numbered(200), Encoding(gop=10), even(200, F(25)))
    damage(path, 0.4, 0.5)
    pictures, facts = read(path, Sampling(points="uniform", count=16))
    assert facts.seconds == pytest.approx(8.0, abs=0.1)
    assert len(pictures) >= 13 and pictures[-1].end == facts.seconds
    for n, picture in enumerate(pictures[:5]):
        assert number_of(picture.pixels) == int((2 * n + 1) * facts.seconds / 32 * 25 + 1e-6)


def test_a_header_that_lies_about_the_duration_moves_no_point(tmp_path: Path) -> None:
    path = tmp_path / "lies.mkv"
    write_video(path, numbered(100), Encoding(), even(100, F(25)))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # the duration, a float64 of milliseconds
    data[at : at + 8] = np.array([400_000.0], ">f8").tobytes()
    path.write_bytes(data)
    with Reader(path) as reader:
        assert reader.facts.seconds == pytest.approx(400.0)
        pictures = list(reader.pictures(Sampling(points="uniform", count=4), LOOK))
        assert reader.facts.seconds == pytest.approx(4.0, abs=0.001)
    assert [number_of(p.pixels) for p in pictures] == [12, 37, 62, 87]


def test_a_stream_whose_packets_have_no_times_is_spread_by_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "raw.h264"
    write_video(path, numbered(50), Encoding(bframes=2, gop=10))
    pictures, facts = read(path, Sampling(points="uniform", count=5))
    assert [number_of(p.pixels) for p in pictures] == [5, 15, 25, 35, 45]
    assert pictures[-1].end == facts.seconds == pytest.approx(2.0)


def test_points_of_real_videos_are_those_of_a_plain_decoding(media: Path) -> None:
    rows = map(json.loads, (media / "videos.jsonl").read_text().splitlines())
    compared = 0
    for row in rows:
        path = media / "videos" / row["file"]
        is_small = path.stat().st_size < 300_000 and row.get("w") and row["w"] * row["h"] <= 640 * 480
        if row["status"] != "ok" or row["still"] or not is_small or path.suffix in (".avi", ".avif"):
            continue
        try:
            held = decoded(path)
        except (AssertionError, av.error.FFmpegError, VideoError):
            continue
        check(path, Sampling(points="uniform", count=8), held, uniform(held, 8))
        check(path, Sampling(points="keyframes"), held, keys(held))
        compared += 1
    assert compared >= 40


def shown(*times: float, shots: tuple[float, ...] = (), keys: tuple[float, ...] = ()) -> list[Shown[None]]:
    begins = [max((s for s in shots if s <= t), default=0.0) for t in times]
    return [Shown(exact(t), exact(t), None, exact(s), t in keys) for t, s in zip(times, begins, strict=True)]


def spans(rows: Any) -> list[tuple[float, float]]:
    return [(float(row.t), float(row.end)) for row in rows]


def test_before_the_first_picture_the_first_is_shown() -> None:
    points = at_points(shown(5.0, 6.0, 9.0), middles(5, F(10)))
    assert spans(until_next(points, lambda: F(10))) == [(5, 6), (6, 9), (9, 10)]


def test_a_video_that_shows_no_keyframe_has_its_first_picture() -> None:
    assert [float(row.t) for row in keyframes(shown(0.0, 1.0, 2.0))] == [0]
    assert [float(row.t) for row in keyframes(shown(0.0, 1.0, 2.0, keys=(1.0, 2.0)))] == [1, 2]


def test_a_keyframe_that_another_picture_takes_the_place_of_is_not_shown() -> None:
    pictures = shown(0.0, 1.0, keys=(0.0, 1.0)) + shown(1.0, 2.0)
    assert [float(row.t) for row in keyframes(pictures)] == [0]


def test_shots_have_the_grids_points_and_each_at_least_its_first_picture() -> None:
    pictures = shown(*(n / 4 for n in range(13)), shots=(0.0, 1.25, 1.75, 2.75))
    points = list(on_shots(pictures, F(1), lambda: F(13, 4)))
    assert [float(p.t) for p in points] == [0, 1, 1.25, 2, 3]
    rows = until_next(points, lambda: F(13, 4), by_shot=True)
    assert spans(rows) == [(0, 1), (1, 1.25), (1.25, 1.75), (2, 2.75), (3, 3.25)]
