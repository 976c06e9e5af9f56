"""Presets: the very pictures that the authors' scripts take."""

from __future__ import annotations

import json
from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from core.types import Sampling
from extractor.media.presets import at_rate, chosen_times, spread
from extractor.media.reader import Picture, Reader
from extractor.media.scan import Scan
from extractor.media.write import Encoding, write_video
from extractor.windows import Windows
from tests.extractor.drawn import number_of, numbered
from tests.extractor.test_reader import LOOK, even

F = Fraction
ZERO = F(0)
EVERY = {"clip2video-msrvtt": 2, "clip2video-msvd": 1}


def scan(count: int, fps: Fraction, start: Fraction = ZERO, sound: Fraction | None = None) -> Scan:
    times = even(count, fps, start)
    return Scan(tuple(times), times[-1] + 1 / fps, start if sound is None else sound)


# Numbers of the pictures that FFmpeg 9.0.2 wrote with `-r 5` of files with so many pictures a second.
WRITTEN = {
    (60, F(25)): [0, 1, 4, 9, 14, 19, 24, 29, 34, 39, 44, 49, 54, 59],
    (50, F(30)): [0, 1, 5, 11, 17, 23, 29, 35, 41, 47],
    (40, F(24_000, 1001)): [0, 1, 4, 9, 13, 18, 23, 28, 33, 37],
    (20, F(5)): list(range(20)),
    (12, F(8)): [0, 1, 2, 3, 4, 6, 7, 9, 11],
}


@pytest.mark.parametrize(("count", "fps"), WRITTEN)
def test_the_pictures_are_those_that_ffmpeg_writes_at_five_a_second(count: int, fps: Fraction) -> None:
    held = scan(count, fps)
    assert at_rate(held.times, held.end) == WRITTEN[count, fps]


def test_a_spread_is_that_of_numpy() -> None:
    for count in range(1, 400, 7):
        for wanted in range(1, min(count, 40) + 1):
            assert spread(count, wanted) == np.linspace(0, count - 1, wanted, dtype=int).tolist()


@pytest.mark.parametrize("preset", EVERY)
@pytest.mark.parametrize("count", [1, 8, 30, 61, 250, 1501])
def test_of_these_each_or_every_second_and_then_twelve_are_taken(preset: str, count: int) -> None:
    """As in the authors' data loaders, written out with numpy."""
    held = scan(count, F(25))
    files = at_rate(held.times, held.end)
    number = max(1, len(files) // EVERY[preset])
    kept = [files[i] for i in np.linspace(0, len(files) - 1, number, dtype=int)]
    if len(kept) > 12:
        kept = [kept[i] for i in np.linspace(0, len(kept) - 1, 12, dtype=int)]
    assert chosen_times(preset, held) == [held.times[i] for i in sorted(kept)]
    assert len(chosen_times(preset, held)) <= 12


def test_the_golden_choices_of_the_reference_code_are_ours(media: Path) -> None:
    golden = json.loads((media.parent / "golden" / "misc.json").read_text())["frame_choice"]
    compared = 0
    for row in golden:
        count = row["n_extracted"] // row["feature_framerate"]
        if row["max_frames"] == 12 and count:
            kept = spread(row["n_extracted"], count)
            kept = [kept[i] for i in spread(count, 12)] if count > 12 else kept
            assert kept == row["indices"], row
            compared += 1
    assert compared >= 16


def test_a_late_picture_beside_sound_fills_the_time_before_it_as_ffmpeg_does() -> None:
    late = scan(25, F(25), start=F(2), sound=F(0))
    assert at_rate([t - late.start for t in late.times], late.end)[:13] == [0] * 10 + [1, 2, 4]
    alone = scan(25, F(25), start=F(2))
    assert chosen_times("clip2video-msvd", alone)[0] == 2


STAYS = (ZERO, *even(50, F(25), F(5)))  # the first picture stays for five seconds


@pytest.mark.parametrize("preset", EVERY)
@pytest.mark.parametrize("times", [tuple(even(10, F(2))), STAYS], ids=["slow", "stays"])
def test_a_picture_that_is_written_several_times_is_given_as_often(
    tmp_path: Path, preset: str, times: tuple[Fraction, ...]
) -> None:
    """As the authors' loaders give it to the model: each time for a part of the seconds that it is shown."""
    path = tmp_path / "film.mp4"
    write_video(path, numbered(len(times)), Encoding(bframes=0), list(times))
    sampling = Sampling(preset=preset)
    with Reader(path) as reader:
        pictures, end = list(reader.pictures(sampling, LOOK)), F(reader.facts.seconds).limit_denominator(50)
        planned = [*reader.planned(sampling, LOOK)]
        assert reader.way == "planned" or times != STAYS
    files = at_rate(times, end)
    kept = [files[i] for i in spread(len(files), len(files) // EVERY[preset])]
    kept = [kept[i] for i in spread(len(kept), 12)] if len(kept) > 12 else kept
    assert len({*kept}) < len(kept) <= 12
    assert [number_of(p.pixels) for p in pictures] == kept
    assert [bisect_right(times, F(p.t) + F(1, 10_000)) - 1 for p in pictures] == kept
    assert all(one.t < one.end == other.t for one, other in pairwise(pictures))
    assert [(p.t, p.end, number_of(p.pixels)) for p in planned if isinstance(p, Picture)] == [
        (p.t, p.end, number_of(p.pixels)) for p in pictures
    ]
    windows = Windows[int](sampling)
    assert not any(windows.push(p.t, p.end, number) for number, p in enumerate(pictures))
    (clip,) = windows.finish()[0].clips
    assert clip.index.tolist() == [*range(len(kept))] and (clip.start, clip.end) == (0.0, float(end))


def test_a_preset_gives_its_pictures_of_a_file_and_one_clip_of_them(tmp_path: Path) -> None:
    path = tmp_path / "numbered.mp4"
    write_video(path, numbered(250), Encoding(bframes=2), even(250, F(25)))
    with Reader(path) as reader:
        pictures = list(reader.pictures(Sampling(preset="clip2video-msrvtt"), LOOK))
    held = scan(250, F(25))
    assert [F(p.t).limit_denominator(25) for p in pictures] == chosen_times("clip2video-msrvtt", held)
    assert [number_of(p.pixels) for p in pictures] == [round(p.t * 25) for p in pictures]
    assert len(pictures) == 12 and pictures[-1].end == 10.0
