"""Frame rows among what is around them: the runs of the definition, whatever the windows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor

from core.types import IntArray, Kind, Sampling
from extractor.around import Among
from extractor.encoders import load
from extractor.encoders.base import Around, frame_rows
from extractor.encoders.toy import Toy
from extractor.encoding import Encoding
from extractor.windows import Window, Windows
from tests.extractor.test_encoding import SAMPLING, end, give, pictures, video


def by_definition(count: int, around: Around) -> dict[int, list[tuple[int, ...]]]:
    """The runs that hold each point."""
    runs, start = [], 0
    while count:
        runs.append(tuple(range(start, min(start + around.points, count))))
        if start + around.points >= count:
            break
        start += around.step
    return {point: [run for run in runs if point in run] for point in range(count)}


def windows(count: int, sampling: Sampling, limit: int, around: Around) -> list[Window[int]]:
    run: Windows[int] = Windows(sampling, limit, around)
    found = [run.push(float(number), number + 1.0, number) for number in range(count)]
    return [window for each in (*found, run.finish()) for window in each]


def seen(found: list[Window[int]]) -> dict[int, list[tuple[int, ...]]]:
    """By each frame row the runs that it is made of, once it is sure that each entry is its own point's."""
    rows: dict[int, list[tuple[int, ...]]] = {}
    for window in found:
        runs = [tuple(window.features[place] for place in run) for run in window.runs]
        entries = [(run, point) for run in runs for point in run]
        for row in window.frames:
            mine = [entries[place] for place in row.index]
            assert {point for _, point in mine} == {int(row.start)} and row.end == row.start + 1
            assert int(row.start) not in rows
            rows[int(row.start)] = [run for run, _ in mine]
    return rows


def test_a_row_is_made_of_all_runs_that_hold_its_second_and_no_others() -> None:
    random = Random(5)
    for _ in range(300):
        step = random.choice([1, 2, 5])
        around = Around(step * random.choice([1, 2, 3]), step)
        count, limit = random.choice([0, 1, 2, 7, 31, 32, 33, 100]), random.choice([40, 64, 256])
        sampling = Sampling(clip_seconds=random.choice([1.0, 8.0, 20.0]), whole=random.random() < 0.2)
        found = windows(count, sampling, limit, around)
        assert seen(found) == by_definition(count, around)


@pytest.mark.parametrize(("count", "starts"), [(32, [0]), (33, [0, 16]), (70, [0, 16, 32, 48]), (1, [0])])
def test_the_first_run_that_reaches_the_end_is_the_last(count: int, starts: list[int]) -> None:
    found = by_definition(count, Around(32, 16))
    assert sorted({run[0] for runs in found.values() for run in runs}) == starts
    sampling = Sampling(clip_seconds=32.0, stride_seconds=16.0)
    assert seen(windows(count, sampling, 256, Around(32, 16))) == found


def test_clips_are_what_they_are_without() -> None:
    sampling = Sampling(clip_seconds=32.0, stride_seconds=16.0)

    def clips(around: Around | None) -> list[tuple[float, float, tuple[int, ...]]]:
        run: Windows[int] = Windows(sampling, 256, around)
        found = [run.push(float(number), number + 1.0, number) for number in range(1000)]
        return [(row.start, row.end, tuple(window.features[place] for place in row.index))
                for each in (*found, run.finish()) for window in each for row in window.clips]  # fmt: skip

    assert clips(Around(32, 16)) == clips(None)


def test_a_day_is_held_a_few_seconds_at_a_time_and_hardly_any_run_twice() -> None:
    run: Windows[int] = Windows(Sampling(clip_seconds=32.0, stride_seconds=16.0), 256, Around(32, 16))
    most, runs = 0, 0
    for number in range(86_400):
        for window in run.push(float(number), number + 1.0, number):
            most, runs = max(most, len(window.features)), runs + len(window.runs)
    assert most <= 256
    assert runs <= 1.1 * 86_400 / 16


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("limit", [8, 64, 256])
@pytest.mark.parametrize("around", [Around(32, 16), Around(4, 4), Around(5, 1)], ids=str)
def test_held_points_are_no_more_than_those_of_clips_and_of_two_runs(
    whole: bool, limit: int, around: Around
) -> None:
    run: Windows[int] = Windows(Sampling(whole=whole), limit, around)
    most = limit + 2 * around.points
    for number in range(3_000):
        found = run.push(float(number), number + 1.0, number)
        assert len({each.number for each in (*run._former.held, *_among(run).held)}) <= most
        assert all(len(window.features) <= most for window in found)
    assert all(len(window.features) <= most for window in run.finish())


def _among(run: Windows[int]) -> Among[int]:
    assert run._among
    return run._among


@pytest.mark.parametrize("keeps_frames", [True, False])
@pytest.mark.parametrize("count", [20, 40, 300, 2_400])
def test_a_whole_video_is_its_first_points_and_lasts_until_its_end(count: int, keeps_frames: bool) -> None:
    sampling = Sampling(whole=True, keep_frames=keeps_frames)
    found = windows(count, sampling, 256, Around(32, 16))
    clips = [(window, row) for window in found for row in window.clips]
    ((window, row),) = clips
    assert [window.features[place] for place in row.index] == [*range(min(count, 32))]
    assert (row.start, row.end) == (0.0, float(count))


def test_each_shot_is_its_first_points() -> None:
    run: Windows[int] = Windows(Sampling(points="shots"), 256, Around(4, 2))
    found = [run.push(float(each), each + 1.0, each, 10.0 * (each // 10)) for each in range(20)]
    clips = [
        tuple(window.features[place] for place in row.index)
        for windows in (*found, run.finish())
        for window in windows
        for row in window.clips
    ]
    assert clips == [(0, 1, 2, 3), (10, 11, 12, 13)]


def test_without_frame_rows_nothing_waits_for_others() -> None:
    sampling = Sampling(clip_seconds=8.0, keep_frames=False)
    assert not any(window.runs or window.frames for window in windows(100, sampling, 64, Around(4, 2)))


class Looking(Toy):
    """The colours of a picture, and of half of what is around it."""

    around = Around(4, 2)

    def frames(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        rows = [features[torch.from_numpy(run)].float() for run in index]
        return torch.cat([run + run.mean(dim=0) / 2 for run in rows]) if rows else features[:0].float()


def looking() -> Looking:
    return Looking("cpu", load("toy:rgb").spec.look)


def test_framed_rows_are_means_of_entries() -> None:
    encoder, features = looking(), torch.arange(12.0).reshape(4, 3)
    runs = [np.array([0, 1]), np.array([1, 2, 3])]
    states = encoder.frames(features, runs)
    found = frame_rows(encoder, features, runs, [np.array([0]), np.array([1, 2]), np.array([4])])
    assert torch.equal(found, torch.stack([states[0], (states[1] + states[2]) / 2, states[4]]))


@pytest.mark.parametrize("batch", [3, 64])
def test_rows_are_stored_by_batches_as_one_video_at_a_time(batch: int) -> None:
    encoder = looking()
    encoding, counts = Encoding(encoder, batch), (1, 2, 700, 5)
    videos = [video(str(number)) for number in range(len(counts))]
    done = []
    for number, count in enumerate(counts):
        videos[number].windows = Windows(SAMPLING, around=encoder.around)
        done += give(encoding, videos[number], pictures(number, count))
        end(encoding, videos[number])
    done += [*encoding.encode(), *encoding.settle()]
    assert done == videos
    for number, count in enumerate(counts):
        rows = videos[number].all_rows()
        features = encoder.features(
            torch.from_numpy(np.stack([each.pixels for each in pictures(number, count)]))
        )
        for point, runs in by_definition(count, encoder.around).items():
            places = [encoder.frames(features, [np.array(run)])[run.index(point)] for run in runs]
            expected = torch.stack(places).mean(dim=0).half()
            kind: Kind = "frame"
            assert np.array_equal(rows[kind][1][point], expected.numpy())
        assert len(rows["frame"][0]) == count and len(rows["clip"][1]) >= 1
