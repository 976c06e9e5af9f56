"""Times and grids of pictures, without a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from extractor.media.clock import Clock, Shown, time_zero
from extractor.media.grid import exact, rows

F = Fraction
HZ = F(1, 30)


class Frame:
    """Stands for a decoded picture and counts how many are alive."""

    alive = most = 0
    key_frame = False

    def __init__(self, pts: int | None = None, dts: int | None = None, duration: int = 0) -> None:
        self.pts, self.dts, self.duration = pts, dts, duration
        Frame.alive += 1
        Frame.most = max(Frame.most, Frame.alive)

    def __del__(self) -> None:
        Frame.alive -= 1


def stream(**facts: Any) -> Any:
    return SimpleNamespace(**{"time_base": HZ, "average_rate": F(30), "guessed_rate": None, **facts})


def seen(times: list[Fraction], end: Fraction, fps: float = 1.0) -> list[tuple[float, float]]:
    """Start and end of the rows of pictures that begin at these times."""
    frame: Any = None
    found = rows((Shown(t, t, frame) for t in times), exact(fps), lambda: end)
    return [(float(row.t), float(row.end)) for row in found]


def test_few_pictures_are_held_at_once() -> None:
    end = F(0)

    def pictures() -> Iterator[Shown[Any]]:
        nonlocal end
        for n in range(5_000):
            end = F(n + 1, 25)
            frame: Any = Frame()
            yield Shown(F(n, 25), end, frame)

    assert sum(1 for _ in rows(pictures(), F(1), lambda: end)) == 200
    assert Frame.most <= 5


def test_a_tenth_is_a_tenth() -> None:
    assert seen([F(0), F(99, 10), F(10)], F(11), fps=0.1) == [(0, 10), (10, 11)]


def test_of_two_pictures_at_one_time_the_later_is_shown() -> None:
    assert seen([F(0), F(1), F(1), F(2)], F(3)) == [(0, 1), (1, 2), (2, 3)]
    assert seen([F(0), F(0), F(1)], F(2)) == [(0, 1), (1, 2)]


def test_a_row_of_a_late_first_picture_ends_with_the_video() -> None:
    assert seen([F(21, 2), F(106, 10), F(109, 10)], F(112, 10)) == [(10.5, 11.2), (10.9, 11.2)]


def test_a_last_picture_that_stays_is_one_row_to_the_end() -> None:
    assert seen([F(0), F(1)], F(60)) == [(0, 1), (1, 60)]


def test_a_last_row_whose_picture_goes_lasts_for_a_step() -> None:
    assert seen([F(0), F(9, 10), F(19, 10)], F(2)) == [(0, 1), (0.9, 1.9)]


def test_before_the_first_picture_the_first_is_shown() -> None:
    assert seen([F(5), F(11, 2), F(13, 2)], F(7)) == [(5, 6), (5.5, 6.5)]


def times(frames: list[Frame], **facts: Any) -> tuple[list[Fraction], Fraction]:
    clock = Clock(stream(**facts), F(0))
    pictures: Any = frames
    return [shown.t / HZ for shown in clock.shown(pictures)], clock.end / HZ


def test_presentation_times_that_step_back_give_way_to_decoding_times() -> None:
    pts = [2, 3, 5, 4, 6, 9, 8, 10, 7]
    found, _ = times([Frame(p, n + 3) for n, p in enumerate(pts)])
    assert found == [2, 3, 5, 6, 7, 8, 9, 10, 11]


def test_one_step_back_alone_only_waits() -> None:
    assert times([Frame(p) for p in (0, 2, 1, 3)])[0] == [0, 2, 2, 3]


def test_pictures_without_any_time_follow_one_another() -> None:
    assert times([Frame(), Frame(), Frame(5), Frame()])[0] == [0, 1, 5, 6]


def test_a_picture_lasts_as_its_packet_says_else_as_the_rate() -> None:
    assert times([Frame(0, duration=1), Frame(1, duration=90)])[1] == 91
    assert times([Frame(0), Frame(1)])[1] == 2
    assert times([Frame(0), Frame(1)], average_rate=None)[1] == 1


@pytest.mark.parametrize(
    ("container", "audio", "video", "first", "zero"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", 0, 30, 30, F(0)),
        ("mov,mp4,m4a,3gp,3g2,mj2", 0, 0, -10, F(-1, 3)),
        ("matroska,webm", 15, 30, 30, F(1, 2)),
        ("matroska,webm", 45, 30, 30, F(1)),
        ("mpegts", None, 300, 300, F(10)),
        ("mpegts", None, 300, 290, F(29, 3)),
        ("avi", None, None, None, F(0)),
    ],
)
def test_time_zero_is_the_earliest_of_sound_and_pictures_but_in_mp4_the_time_lines_own(
    container: str, audio: int | None, video: int | None, first: int | None, zero: Fraction
) -> None:
    streams = SimpleNamespace(
        audio=[stream(start_time=audio)], video=[stream(start_time=video)], other=[stream(start_time=-99)]
    )
    opened: Any = SimpleNamespace(format=SimpleNamespace(name=container), streams=streams)
    assert time_zero(opened, streams.video[0], first) == zero
