"""Times that are wrong, or begin anew, cost no picture and no second of the rest."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from core.types import Facts, Look, Sampling
from extractor.media.clock import Clock
from extractor.media.packets import Losses
from extractor.media.reader import Picture, Reader
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import number_of, numbered

F = Fraction
COUNT, FPS = 500, 25


def film(path: Path, count: int = COUNT, **how: Any) -> Path:
    write_video(path, numbered(count), Encoding(**how), [F(n, FPS) for n in range(count)])
    return path


def moved(path: Path, packet_number: int, seconds: int) -> Path:
    """The same file with one packet's presentation time moved."""
    out = path.with_stem(f"{path.stem}-moved")
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        video = source.streams.video[0]
        copy = target.add_stream_from_template(video)
        for number, packet in enumerate(source.demux(video)):
            if packet.size and packet.pts is not None:
                if number == packet_number:
                    packet.pts += round(seconds / packet.time_base)
                packet.stream = copy
                target.mux(packet)
    return out


def read(path: Path, fps: float = 1.0) -> tuple[list[Picture], Facts]:
    with Reader(path) as reader:
        pictures = reader.pictures(Sampling(fps=fps, clip_seconds=1 / fps), Look(size=32))
        return list(pictures), reader.facts


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
@pytest.mark.parametrize("bframes", [0, 2])
def test_one_packet_far_ahead_costs_nothing(tmp_path: Path, suffix: str, bframes: int) -> None:
    whole = film(tmp_path / f"film{suffix}", bframes=bframes)
    expected, facts = read(whole)
    found, damaged = read(moved(whole, 80, 1000))
    assert [number_of(each.pixels) for each in found] == [number_of(each.pixels) for each in expected]
    assert [each.t for each in found] == [each.t for each in expected]
    assert damaged.seconds == facts.seconds
    assert damaged.lost_packets == 0


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_a_recording_behind_another_is_read_on(tmp_path: Path, suffix: str) -> None:
    codec = {".ts": "h264", ".mpg": "mpeg2video"}[suffix]
    one = film(tmp_path / f"one{suffix}", 200, codec=codec, time_base=F(1, FPS))
    two = tmp_path / f"two{suffix}"
    two.write_bytes(one.read_bytes() * 2)
    found, facts = read(two, 5.0)
    numbers = [number_of(each.pixels) for each in found]
    assert numbers == [*range(0, 200, 5), *range(0, 200, 5)]
    assert all(a.t < b.t for a, b in pairwise(found))
    assert facts.seconds == pytest.approx(16.0, abs=0.1)


def times(pts: list[int | None], lengths: int = 1) -> tuple[list[int], int]:
    """What becomes of pictures at these thirtieths of a second, and how many found no room."""
    losses = Losses()
    stream: Any = SimpleNamespace(time_base=F(1, 30), average_rate=F(30), guessed_rate=None)
    clock = Clock(stream, F(0), losses)
    pictures: Any = [SimpleNamespace(pts=each, dts=None, duration=lengths, key_frame=False) for each in pts]
    return [round(shown.t * 30) for shown in clock.shown(pictures)], losses.packets


def test_a_single_time_far_off_becomes_the_end_of_the_picture_before() -> None:
    assert times([0, 1, 9_000, 3, 4]) == ([0, 1, 2, 3, 4], 0)
    assert times([100, 101, 3, 103, 104]) == ([100, 101, 102, 103, 104], 0)
    assert times([100, 101, 3]) == ([100, 101, 102], 0)


def test_a_first_time_far_ahead_becomes_that_of_the_second() -> None:
    assert times([9_000, 1, 2]) == ([1, 1, 2], 0)


def test_times_that_begin_anew_go_on_behind_what_came() -> None:
    assert times([0, 50, 100, 0, 50, 100, 0, 50]) == ([0, 50, 100, 101, 151, 201, 202, 252], 0)


def test_a_gap_stays_a_gap() -> None:
    assert times([0, 1, 9_000, 9_001]) == ([0, 1, 9_000, 9_001], 0)


def test_pictures_that_found_no_room_are_counted() -> None:
    assert times([0, 1, 9_000, 2, 3], lengths=3) == ([0, 1, 2, 2, 3], 0)
    assert times([10, 9_000, 10, 11]) == ([10, 10, 10, 11], 1)
    assert times([10, 9, 8, 7, 6, 11]) == ([10, 10, 10, 10, 10, 11], 2)


def test_pictures_without_a_time_stay_where_they_are_among_wrong_ones() -> None:
    assert times([0, None, 9_000, 3, None, 5]) == ([0, 1, 2, 3, 4, 5], 0)
