"""Batches across videos: the same rows as each video's own, one batch late, and nothing of what is void."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from core.log import Task
from core.types import Facts, IntArray, Kind, Place, Sampling
from extractor.ahead import Ended
from extractor.encoders import load, toy
from extractor.encoding import Encoding, Video, features_at_once
from extractor.media.picture import Pixels
from extractor.media.reader import Picture
from extractor.work import Work

SAMPLING = Sampling(clip_seconds=4.0, stride_seconds=2.0)


def video(name: str) -> Video:
    return Video.begun(Work(Task(Place("films", name.encode(), "1-1"), 0)), name, SAMPLING)


def pictures(seed: int, count: int) -> list[Picture]:
    order = np.random.default_rng(seed)
    drawn: Iterator[Pixels] = (order.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(count))
    return [Picture(float(n), n + 1.0, pixels) for n, pixels in enumerate(drawn)]


def give(encoding: Encoding, of: Video, given: list[Picture]) -> list[Video]:
    done: list[Video] = []
    for picture in given:
        encoding.add(of, picture)
        if encoding.is_full:
            done += encoding.encode()
    return done


def end(encoding: Encoding, of: Video) -> None:
    of.ended = Ended(of.source, Facts())
    encoding.close(of)


def rows(of: Video) -> dict[Kind, tuple[list[tuple[float, float]], bytes]]:
    return {
        kind: ([(each.start, each.end) for each in segments], vectors.tobytes())
        for kind, (segments, vectors) in of.all_rows().items()
    }


def alone(seed: int, count: int) -> dict[Kind, tuple[list[tuple[float, float]], bytes]]:
    encoding, of = Encoding(load("toy:rgb"), 1), video("alone")
    give(encoding, of, pictures(seed, count))
    end(encoding, of)
    assert list(encoding.settle()) == [of]
    return rows(of)


@pytest.mark.parametrize("batch", [1, 3, 16, 64])
def test_rows_are_those_of_each_video_alone(batch: int) -> None:
    encoding, done = Encoding(load("toy:rgb"), batch), list[Video]()
    counts = (1, 2, 700, 5, 1, 16)
    videos = [video(str(number)) for number in range(len(counts))]
    for number, count in enumerate(counts):
        done += give(encoding, videos[number], pictures(number, count))
        end(encoding, videos[number])
    done += encoding.encode()
    done += encoding.settle()
    assert done == videos
    for number, count in enumerate(counts):
        assert rows(videos[number]) == alone(number, count)
    assert encoding.pictures == sum(counts)


def test_rows_come_one_batch_late_or_when_nothing_else_is_to_do() -> None:
    encoding, first, second = Encoding(load("toy:rgb"), 2), video("first"), video("second")
    assert give(encoding, first, pictures(0, 2)) == []
    end(encoding, first)
    assert give(encoding, second, pictures(1, 2)) == []
    assert give(encoding, second, pictures(2, 2)) == [first]
    end(encoding, second)
    assert list(encoding.settle()) == [second]
    assert list(encoding.settle()) == [] and list(encoding.encode()) == []


def test_what_is_void_makes_no_rows_and_takes_none_away() -> None:
    encoding, void, other = Encoding(load("toy:rgb"), 8), video("void"), video("other")
    give(encoding, void, pictures(0, 3))
    void.is_void = True
    again = video("void")
    give(encoding, again, pictures(1, 3))
    give(encoding, other, pictures(2, 1))
    for each in (again, other):
        end(encoding, each)
    assert [*encoding.encode(), *encoding.settle()] == [again, other]
    assert rows(again) == alone(1, 3) and rows(other) == alone(2, 1)


class OfRuns(toy.Toy):
    """The colours of thirty pictures together."""

    def __init__(self) -> None:
        super().__init__("cpu", replace(load("toy:rgb").spec.look, run=30))

    def features(self, pictures: Tensor) -> Tensor:
        rows = super().features(pictures)
        return rows.view(-1, 30, rows.shape[1]).sum(dim=1)


def test_a_batch_counts_pictures_or_runs_of_them_of_which_few_are_many() -> None:
    assert (features_at_once(16, 1), features_at_once(4_096, 1)) == (16, 4_096)
    assert (features_at_once(16, 30), features_at_once(4_096, 30), features_at_once(2, 9_000)) == (16, 136, 1)


def test_of_runs_as_many_pictures_gather_as_of_single_ones_and_each_counts() -> None:
    encoding, of = Encoding(OfRuns(), 4_096), video("runs")
    most = 4_096 * 32 * 32 * 3
    assert 0.9 * most < encoding._buffers[0].pixels.nbytes <= most
    shown = np.zeros((30, 32, 32, 3), np.uint8)
    encoding.add(of, Picture(0.0, 1.0, shown))
    encoding.encode()
    assert encoding.pictures == 30
    for number in range(1, 4_096 // 30):
        encoding.add(of, Picture(float(number), number + 1.0, shown))
        assert not encoding.is_full
    encoding.add(of, Picture(999.0, 1_000.0, shown))
    assert encoding.is_full


def test_a_batch_has_one_run_at_least() -> None:
    assert not Encoding(OfRuns(), 1).is_full


class Noted(Tensor):
    """Notes how it is brought to the host."""

    found: list[bool] = []  # noqa: RUF012

    def to(self, *args: Any, **more: Any) -> Any:
        self.found.append(more.get("non_blocking", False))
        return super().to(*args, **more).as_subclass(Tensor)


class OnTheHost(toy.Toy):
    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        return super().clips(features, index).as_subclass(Noted)


def test_where_no_event_tells_that_rows_are_there_they_are_waited_for() -> None:
    encoding, of = Encoding(OnTheHost("cpu", load("toy:rgb").spec.look), 4), video("one")
    give(encoding, of, pictures(0, 3))
    end(encoding, of)
    assert [*encoding.encode(), *encoding.settle()] == [of]
    assert Noted.found and not any(Noted.found)
