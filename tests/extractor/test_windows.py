"""Windows: the same rows as without them, in bounded memory."""

from __future__ import annotations

from math import ceil, floor
from random import Random

import pytest

from core.errors import UsageError, VideoError
from core.types import Sampling
from extractor.windows import Window, Windows

Points = list[tuple[float, float]]
Span = tuple[float, float, tuple[int, ...]]  # a row: its seconds and the numbers of its points


def windows(sampling: Sampling, points: Points, limit: int = 256) -> list[Window[int]]:
    run: Windows[int] = Windows(sampling, limit)
    found = [run.push(t, end, number) for number, (t, end) in enumerate(points)]
    return [window for window in (*found, run.finish()) if window is not None]


def spans(found: list[Window[int]]) -> tuple[list[Span], list[Span]]:
    frames: list[Span] = []
    clips: list[Span] = []
    for window in found:
        for rows, into in ((window.frames, frames), (window.clips, clips)):
            into.extend((row.start, row.end, tuple(window.features[i] for i in row.index)) for row in rows)
    return frames, clips


def regular(count: int, fps: float = 1.0) -> Points:
    return [(i / fps, (i + 1) / fps) for i in range(count)]


def plain_clips(sampling: Sampling, points: Points) -> list[tuple[int, ...]]:
    """The same by its definition, for a video that is at hand whole."""
    unit = 1000  # whole numbers: fractions would take a minute
    length = round(sampling.clip_seconds * sampling.fps * unit)
    stride = round(sampling.stride_seconds * sampling.fps * unit)
    first = floor(points[0][0] * sampling.fps + 1e-6)
    slots = [0] + [(ceil(t * sampling.fps - 1e-6) - first) * unit for t, _ in points[1:]]
    after = slots[-1] + unit
    starts = range(0, after - length + 1, stride)
    found: list[tuple[int, ...]] = []
    for start in starts:
        clip = tuple(i for i, slot in enumerate(slots) if start <= slot < start + length)
        if clip and clip != (found[-1] if found else ()):
            found.append(clip)
    if not found or found[-1][-1] != len(points) - 1:
        found.append(tuple(i for i, slot in enumerate(slots) if slot > after - unit - length))
    return found


def random_case(random: Random) -> tuple[Sampling, Points, int]:
    fps = random.choice([0.1, 0.3, 0.5, 1.0, 2.0, 25.0])
    clip = random.choice([1, 2, 3, 8, 12.5]) / random.choice([fps, 1.0])
    stride = random.choice([0.5, 1, 3, 4, 20]) / random.choice([fps, 1.0])
    clip = min(clip, 200 / fps)
    sampling = Sampling(fps=fps, clip_seconds=clip, stride_seconds=stride, keep_frames=random.random() < 0.7)
    gap = random.choice([0.0, 0.05, 0.5])
    slot = random.choice([0, 0, 7])
    points: Points = []
    for _ in range(random.choice([1, 2, 5, 30, 80])):
        t = slot / fps - random.choice([0, 0.4 / fps]) * (slot > 7)
        points.append((t, t + 1 / fps))
        slot += 1 if random.random() >= gap else random.randint(1, 40)
    return sampling, points, ceil(clip * fps - 1e-6) + random.choice([0, 1, 5, 100])


@pytest.mark.parametrize("seed", range(20))
def test_windowed_rows_are_those_of_the_whole_video(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        sampling, points, limit = random_case(random)
        found = windows(sampling, points, limit)
        frames, clips = spans(found)
        expected = plain_clips(sampling, points)
        assert [clip[2] for clip in clips] == expected, (sampling, points, limit)
        assert [clip[:2] for clip in clips] == [(points[i[0]][0], points[i[-1]][1]) for i in expected]
        shown = [(t, end, (i,)) for i, (t, end) in enumerate(points)] if sampling.keep_frames else []
        assert frames == shown
        assert all(len(window.features) <= limit for window in found)


def test_ten_minutes_make_149_clips_and_600_frame_rows() -> None:
    frames, clips = spans(windows(Sampling(), regular(600)))
    assert (len(frames), len(clips)) == (600, 149)


def test_the_last_clip_ends_with_the_last_point() -> None:
    _, clips = spans(windows(Sampling(), regular(10)))
    assert [clip[:2] for clip in clips] == [(0, 8), (2, 10)]


def test_a_shorter_video_gives_one_shorter_clip() -> None:
    _, clips = spans(windows(Sampling(), regular(3)))
    assert clips == [(0, 3, (0, 1, 2))]


def test_no_points_give_no_rows() -> None:
    assert windows(Sampling(), []) == []


def test_pictures_that_begin_before_their_grid_points_still_make_clips_of_eight() -> None:
    points = [(max(0.0, t - 0.03), end) for t, end in regular(20)]
    _, clips = spans(windows(Sampling(), points))
    assert [len(clip[2]) for clip in clips] == [8, 8, 8, 8]


def test_a_picture_that_stays_for_minutes_is_one_point_in_one_clip() -> None:
    points = [(0.0, 300.0), (300.0, 301.0), (301.0, 302.0)]
    _, clips = spans(windows(Sampling(), points))
    assert [clip[2] for clip in clips] == [(0,), (1, 2)]


def test_tiny_strides_over_long_gaps_take_no_time() -> None:
    points = [(0.0, 36_000.0), (36_000.0, 36_001.0)]
    _, clips = spans(windows(Sampling(stride_seconds=0.0001), points))
    assert [clip[2] for clip in clips] == [(0,), (1,)]


def test_points_that_come_too_close_still_fit_their_clips() -> None:
    found = windows(Sampling(), [(n / 10, (n + 1) / 10) for n in range(40)], limit=8)
    assert all(len(row.index) <= 8 for window in found for row in window.clips)


def test_held_points_stay_bounded() -> None:
    run: Windows[int] = Windows(Sampling(fps=2.0))
    given = [run.push(i / 2, (i + 1) / 2, i) for i in range(20_000)]
    assert len(run._held) <= 256
    assert sum(window is not None for window in given) < 100  # whole windows, not dribbles


def test_whole_makes_one_clip_of_all_points() -> None:
    _, clips = spans(windows(Sampling(whole=True), regular(256)))
    assert [len(clip[2]) for clip in clips] == [256]


def test_whole_refuses_more_points_than_a_clip_may_have() -> None:
    with pytest.raises(VideoError, match="more than 256 points"):
        windows(Sampling(whole=True), regular(257))


def test_clips_that_fit_no_window_are_refused() -> None:
    with pytest.raises(UsageError, match="9 points do not fit a window of 8"):
        Windows(Sampling(clip_seconds=9.0), limit=8)


def test_other_points_than_a_grid_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'shots'"):
        Windows(Sampling(points="shots"))
