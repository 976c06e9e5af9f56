"""Runs of 30 pictures a second, held to FFmpeg's own filters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction as F
from itertools import pairwise
from math import ceil
from pathlib import Path
from weakref import ref

import av
import numpy as np
import pytest
from av.filter import Graph
from numpy.typing import NDArray

from core.errors import UsageError
from core.types import Look, Sampling
from extractor.encoders.s3d import LOOK
from extractor.media.children import Child, Limits
from extractor.media.clock import Shown
from extractor.media.reader import Picture, Reader
from extractor.media.reading import Order, Read
from extractor.media.runs import Runs, repeated
from extractor.media.write import Encoding, write_video

Pixels = NDArray[np.uint8]
SMALL = replace(LOOK, size=32)


def moving(count: int, width: int = 96, height: int = 64) -> list[Pixels]:
    """Pictures of which no two are alike, with edges."""
    random = np.random.default_rng(5)
    base = random.integers(0, 256, (height // 8, width // 8 + count, 3), np.uint8)
    wide = base.repeat(8, axis=0).repeat(8, axis=1)
    return [np.ascontiguousarray(wide[:, 8 * n : 8 * n + width]) for n in range(count)]


def read(path: Path, look: Look = SMALL) -> list[Picture]:
    with Reader(path) as reader:
        return list(reader.pictures(Sampling(), look))


def official(path: Path, size: int = 32) -> Pixels:
    """What `ffmpeg -vf fps=30,scale,crop -pix_fmt rgb24` writes, by libavfilter itself."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        wide, high = (
            (int(width * size / height), size) if width >= height else (size, int(height * size / width))
        )
        graph = Graph()
        nodes = [
            graph.add("buffer", _said(stream)),
            graph.add("fps", "fps=30"),
            graph.add("scale", f"{wide}:{high}"),
            graph.add("crop", f"{size}:{size}:{int((wide - size) / 2)}:{int((high - size) / 2)}"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        found = []
        for frame in [*container.decode(stream), None]:
            graph.push(frame)
            found += [each.to_ndarray() for each in _pulled(graph)]
        return np.stack(found)


def _said(stream: av.VideoStream) -> str:
    of = stream.codec_context
    return (
        f"video_size={of.width}x{of.height}:pix_fmt={of.pix_fmt}:time_base={stream.time_base}:"
        f"colorspace={of.colorspace}:range={of.color_range}"
    )


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.pull()  # type: ignore[misc]
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def even(count: int, fps: F, start: F = F(0)) -> list[F]:
    return [start + n / fps for n in range(count)]


FILMS = {
    "30": (Encoding(fps=F(30), bframes=2), even(75, F(30))),
    "25": (Encoding(fps=F(25), bframes=2), even(60, F(25))),
    "ntsc": (Encoding(fps=F(30_000, 1001)), even(70, F(30_000, 1001))),
    "60": (Encoding(fps=F(60)), even(100, F(60))),
    "120": (Encoding(fps=F(120)), even(250, F(120))),
    "10": (Encoding(fps=F(10)), even(23, F(10))),
    "uneven": (Encoding(bframes=2), [F(n * n % 7, 100) + F(n, 12) for n in range(40)]),
}


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("shape", [(96, 64), (64, 98), (90, 66)])
def test_runs_are_what_ffmpegs_filters_write(tmp_path: Path, name: str, shape: tuple[int, int]) -> None:
    path, (how, times) = tmp_path / "a.mp4", FILMS[name]
    write_video(path, moving(len(times), *shape), how, times)
    expected, found = official(path), read(path)
    seen = np.concatenate([each.pixels for each in found])
    assert len(found) == -(-len(expected) // 30)
    assert np.array_equal(seen[: len(expected)], expected)
    assert not seen[len(expected) :].any()  # the end of the last run is black
    assert [each.t for each in found] == [float(n) for n in range(len(found))]
    assert all(one.end == other.t for one, other in pairwise(found))


@pytest.mark.parametrize(("rate", "fps"), [(120, F(1)), (60, F(1, 2)), (1000, F(3)), (24, F(1))])
@pytest.mark.parametrize("missing", [0, 1, 7])
def test_a_run_lasts_until_the_next_one_and_the_last_until_the_end(rate: int, fps: F, missing: int) -> None:
    count, passed = 3 * rate - missing, F(0)

    def pictures() -> Iterator[Shown[int]]:
        nonlocal passed
        for n in range(count):
            passed = F(n + 1, rate)  # no more is known of the end
            yield Shown(F(n, rate), passed, n)

    found = [each[:2] for each in Runs(30, fps, lambda t: t, lambda: passed)(pictures(), _dot)]
    starts = [n / fps for n in range(ceil(passed * fps))]
    assert found == list(pairwise([*starts, passed]))


def test_a_picture_or_a_third_of_a_second_is_one_run(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", moving(1), Encoding(fps=F(30)), even(1, F(30)))
    write_video(tmp_path / "third.mp4", moving(3), Encoding(fps=F(10)), even(3, F(10)))
    (one,), (third,) = read(tmp_path / "one.mp4"), read(tmp_path / "third.mp4")
    assert (one.t, third.t, round(third.end, 3)) == (0.0, 0.0, 0.3)
    assert one.pixels[0].any() and not one.pixels[1:].any()
    assert third.pixels[:9].any(axis=(1, 2, 3)).all() and not third.pixels[9:].any()


def test_what_is_silent_begins_with_its_first_picture_and_else_with_its_sound(tmp_path: Path) -> None:
    silent, loud = tmp_path / "silent.mkv", tmp_path / "loud.mkv"
    times = even(30, F(30), F(1))
    write_video(silent, moving(30), Encoding(fps=F(30)), times)
    sound = Encoding(fps=F(30), audio=(F(1, 2), F(2)), audio_codec="pcm_s16le")
    write_video(loud, moving(30), sound, times)
    (one,), found = read(silent), read(loud)
    assert np.array_equal(one.pixels[:2], np.concatenate([each.pixels for each in found])[15:17])
    assert (found[0].pixels[:15] == found[0].pixels[15]).all()  # the first picture is there from the sound on


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    write_video(tmp_path / "turned.mp4", moving(3, 96, 64), Encoding(fps=F(30), turn=90, crf=5))
    write_video(tmp_path / "plain.mp4", moving(3, 96, 64), Encoding(fps=F(30), crf=5))
    (turned,), (plain,) = read(tmp_path / "turned.mp4"), read(tmp_path / "plain.mp4")
    clockwise = np.rot90(plain.pixels, -1, axes=(1, 2)).astype(int)
    assert np.abs(turned.pixels - clockwise).mean() < 4


def test_children_give_the_same_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, moving(75), Encoding(fps=F(25)))
    with closing(Child(Limits(), SMALL.size, lambda: None, lambda: False, SMALL.run)) as child:
        *found, last = child.read(os.fsencode(path), Order(Sampling(), SMALL))
    assert isinstance(last, Read) and last.trouble is None
    for one, other in zip(found, read(path), strict=True):
        assert isinstance(one, Picture)
        assert (one.t, one.end) == (other.t, other.end)
        assert np.array_equal(one.pixels, other.pixels)


def test_a_picture_that_stays_for_days_is_few_runs() -> None:
    pictures = [Shown(F(t), F(t + 1), n) for n, t in enumerate((0, 1, 1_000_000))]
    runs = Runs(30, F(1), lambda t: t, lambda: F(1_000_001))
    found = list(runs(pictures, lambda shown: np.full((1, 1, 3), 1 + shown.frame, np.uint8)))
    assert len(found) == 1 + 64 + 1 + 1
    assert [tuple(map(int, each[:2])) for each in (*found[:2], *found[-2:])] == [
        (0, 1),
        (1, 2),
        (65, 1_000_000),
        (1_000_000, 1_000_001),
    ]
    assert found[-1][2].min() == 3


@pytest.mark.usefixtures("unwatched")
def test_hours_hold_one_run() -> None:
    def pictures() -> Iterator[Shown[int]]:
        for n in range(18_000 * 2):
            yield Shown(F(n, 2), F(n + 1, 2), n)

    alive = most = 0
    made: list[ref[Pixels]] = []

    def gone(_: ref[Pixels]) -> None:
        nonlocal alive
        alive -= 1

    for _, _, pixels, _ in Runs(30, F(1), lambda t: t, lambda: F(18_000))(pictures(), _dot):
        assert pixels.shape == (30, 1, 1, 3) and pixels.base is None
        made.append(ref(pixels, gone))
        alive += 1
        most = max(most, alive)
    assert len(made) == 18_000
    assert most <= 2  # the one at hand, and here the one before it


def _dot(shown: Shown[int]) -> Pixels:
    return np.full((1, 1, 3), shown.frame % 256, np.uint8)


def test_a_half_of_a_step_is_rounded_up_as_ffmpeg_does() -> None:
    pictures = [Shown(F(n, 60), F(n + 1, 60), n) for n in range(4)]
    assert [
        (shown.frame, count) for shown, count in repeated(pictures, F(30), lambda t: t, lambda: F(4, 60))
    ] == [
        (0, 1),
        (2, 1),
    ]


def test_other_points_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving(3), Encoding(fps=F(30)))
    for sampling, asked in (
        (Sampling(points="keyframes"), "points 'keyframes'"),
        (Sampling(preset="clip2video-msvd"), "preset 'clip2video-msvd'"),
    ):
        with pytest.raises(UsageError, match=asked), Reader(tmp_path / "a.mp4") as reader:
            next(reader.pictures(sampling, SMALL))
