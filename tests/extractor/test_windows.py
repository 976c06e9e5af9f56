"""Windows: the same rows as without them, in bounded memory."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, floor
from random import Random

import pytest

from core.errors import UsageError
from core.types import Sampling
from extractor.windows import Window, Windows

Points = list[tuple[float, float]]
Span = tuple[float, float, tuple[int, ...]]  # a row: its seconds and the numbers of its points


def windows(sampling: Sampling, points: Points, limit: int = 256) -> list[Window[int]]:
    run: Windows[int] = Windows(sampling, limit)
    found = [run.push(t, end, number) for number, (t, end) in enumerate(points)]
    return [window for each in (*found, run.finish()) for window in each]


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
        assert frames == plain_frames(sampling, points)
        assert all(len(window.features) <= limit for window in found)


def plain_frames(sampling: Sampling, points: Points) -> list[Span]:
    return [(t, end, (i,)) for i, (t, end) in enumerate(points)] if sampling.keep_frames else []


def plain_timed(sampling: Sampling, points: Points, limit: int) -> list[tuple[int, ...]]:
    """Clips of points without a grid by their definition; all times are whole milliseconds."""
    length, stride = round(sampling.clip_seconds * 1000), round(sampling.stride_seconds * 1000)
    times = [round((t - points[0][0]) * 1000) for t, _ in points]
    after = round((points[-1][1] - points[0][0]) * 1000)
    taken = [0]
    for i in range(1, len(times)):
        if (times[i] - times[taken[-1]]) * limit >= length:
            taken.append(i)
    found: list[tuple[int, ...]] = []
    for start in range(0, after - length + 1, stride):
        clip = tuple(i for i in taken if start <= times[i] < start + length)
        if clip and clip != (found[-1] if found else ()):
            found.append(clip)
    if not found or found[-1][-1] != taken[-1]:
        found.append(tuple(i for i in taken if times[i] > times[taken[-1]] - length))
    return found


def random_points(random: Random) -> Points:
    """At whole milliseconds, some close together; each until the next one."""
    gaps = [
        random.choice([1, 20, 40, 1000, 1000, 2500, 60_000]) for _ in range(random.choice([1, 2, 5, 30, 90]))
    ]
    times = [random.choice([0, 1500])]
    for gap in gaps:
        times.append(times[-1] + gap)
    return [(t / 1000, end / 1000) for t, end in pairwise(times)]


@pytest.mark.parametrize("seed", range(10))
def test_windowed_clips_of_points_without_a_grid_are_those_of_the_whole_video(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        sampling = Sampling(
            points="keyframes",
            clip_seconds=random.choice([0.04, 1.0, 2.5, 8.0, 100.0]),
            stride_seconds=random.choice([0.04, 1.0, 4.0, 30.0]),
            keep_frames=random.random() < 0.7,
        )
        points, limit = random_points(random), random.choice([1, 2, 3, 8, 30, 256])
        found = windows(sampling, points, limit)
        frames, clips = spans(found)
        expected = plain_timed(sampling, points, limit)
        assert [clip[2] for clip in clips] == expected, (sampling, points, limit)
        assert [clip[:2] for clip in clips] == [(points[i[0]][0], points[i[-1]][1]) for i in expected]
        assert frames == plain_frames(sampling, points)
        assert all(len(window.features) <= limit for window in found)


@pytest.mark.parametrize("seed", range(10))
def test_windowed_shots_and_whole_clips_are_those_of_the_whole_video(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        is_whole = random.random() < 0.4
        sampling = Sampling(points="shots", whole=is_whole, keep_frames=random.random() < 0.7)
        points, limit = random_points(random), random.choice([1, 2, 3, 8, 30, 256])
        begins = sorted(random.sample(range(1, len(points)), min(len(points) - 1, random.choice([0, 1, 9]))))
        runs = [range(a, b) for a, b in pairwise([0, *([] if is_whole else begins), len(points)])]
        shots = {i: points[run[0]][0] - 0.01 for run in runs for i in run}
        run: Windows[int] = Windows(sampling, limit)
        given = [run.push(*point, number, shots[number]) for number, point in enumerate(points)]
        found = [window for each in (*given, run.finish()) for window in each]
        frames, clips = spans(found)
        steps = [next(2**k for k in range(9) if ceil(len(run) / 2**k) <= limit) for run in runs]
        assert [clip[2] for clip in clips] == [
            tuple(run[::step]) for run, step in zip(runs, steps, strict=True)
        ]
        starts = [points[0][0] if is_whole else shots[run[0]] for run in runs]
        assert [clip[:2] for clip in clips] == [
            (start, points[run[-1]][1]) for start, run in zip(starts, runs, strict=True)
        ]
        assert frames == plain_frames(sampling, points)
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


KINDS = [
    Sampling(fps=2.0),
    Sampling(fps=2.0, keep_frames=False),
    Sampling(fps=2.0, whole=True),
    Sampling(points="uniform", count=9),
    Sampling(points="keyframes", clip_seconds=60.0, stride_seconds=10.0),
    Sampling(points="shots", fps=2.0),
]


@pytest.mark.parametrize("sampling", KINDS, ids=str)
def test_held_points_stay_bounded(sampling: Sampling) -> None:
    run: Windows[int] = Windows(sampling)
    given = [run.push(i / 2, (i + 1) / 2, i, shot=float(i // 5_000)) for i in range(20_000)]
    assert len(run._live) <= 256 and len(run._former.held) <= 256
    assert sum(map(len, given)) < 1_500  # whole windows, not dribbles


def test_whole_makes_one_clip_of_all_points() -> None:
    _, clips = spans(windows(Sampling(whole=True), regular(256)))
    assert [len(clip[2]) for clip in clips] == [256]


def test_a_whole_clip_of_more_points_than_it_may_have_keeps_every_second_or_fourth() -> None:
    for count, step in ((257, 2), (512, 2), (513, 4), (1025, 8)):
        frames, clips = spans(windows(Sampling(whole=True), regular(count)))
        assert clips == [(0, count, tuple(range(0, count, step)))]
        assert len(frames) == count


def test_a_shot_is_a_clip_from_its_beginning_to_its_end() -> None:
    points = [(0.0, 1.0, 0.0), (1.0, 1.5, 0.0), (2.0, 3.0, 1.5), (3.0, 3.25, 1.5), (3.25, 4.0, 3.25)]
    run: Windows[int] = Windows(Sampling(points="shots"))
    found = [run.push(t, end, number, shot) for number, (t, end, shot) in enumerate(points)]
    frames, clips = spans([window for each in (*found, run.finish()) for window in each])
    assert clips == [(0.0, 1.5, (0, 1)), (1.5, 3.25, (2, 3)), (3.25, 4.0, (4,))]
    assert [frame[0] for frame in frames] == [0.0, 1.0, 2.0, 3.0, 3.25]


def test_clips_of_other_points_hold_those_within_their_seconds() -> None:
    points = [(0.5, 3.0), (3.0, 8.4), (8.4, 8.5), (8.5, 20.0), (20.0, 21.0)]
    _, clips = spans(windows(Sampling(points="keyframes"), points))
    assert clips == [
        (0.5, 8.5, (0, 1, 2)),  # from 0.5 until 8.5
        (8.4, 20.0, (2, 3)),  # from 4.5
        (8.5, 20.0, (3,)),  # from 8.5
        (20.0, 21.0, (4,)),  # from 12.5
    ]


def test_a_third_of_a_second_thrice_is_a_second_without_a_grid_too() -> None:
    points = [(7 + n / 3, 7 + (n + 1) / 3) for n in range(9)]
    sampling = Sampling(points="keyframes", clip_seconds=1.0, stride_seconds=1 / 3)
    _, clips = spans(windows(sampling, points))
    assert [clip[2] for clip in clips] == [(n, n + 1, n + 2) for n in range(7)]


def test_points_that_come_too_thick_for_a_clip_of_256_have_frame_rows_only() -> None:
    points = [(n / 50, (n + 1) / 50) for n in range(500)]
    frames, clips = spans(windows(Sampling(points="keyframes"), points))
    assert len(frames) == 500
    assert [clip[:2] for clip in clips] == [(0.0, 7.98), (2.0, 9.98)]
    assert all(clip[2] == tuple(range(clip[2][0], clip[2][0] + 400, 2)) for clip in clips)


def test_clips_that_fit_no_window_are_refused() -> None:
    with pytest.raises(UsageError, match="9 points do not fit a window of 8"):
        Windows(Sampling(clip_seconds=9.0), limit=8)
