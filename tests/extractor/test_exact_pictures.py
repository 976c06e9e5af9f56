"""The default path beside the exact one: pictures of real files of all depths, matrices, turns and shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.types import Look
from extractor.media.picture import Lens
from tests.extractor import exact

SIZE = 224
AT = (0, 15)  # which pictures of a file
ALIKE = 1  # picture of one kind is enough


@dataclass(frozen=True)
class Compared:
    """One picture of a real file, by both ways."""

    file: str
    kind: tuple[object, ...]
    shorter: int
    scaling: np.ndarray[tuple[int, ...], np.dtype[np.int64]]  # how far apart, with the same colours
    scaled_cosine: float
    colours: np.ndarray[tuple[int, ...], np.dtype[np.int64]]  # and with exact colours
    cosine: float


def some_pictures(path: Path) -> Iterator[tuple[VideoFrame, VideoStream]]:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            for number, frame in enumerate(container.decode(stream)):
                if number in AT:
                    yield frame, stream
                if number >= AT[-1]:
                    return
    except (av.error.FFmpegError, IndexError, AttributeError):  # no video, or a broken one
        return


@cache
def compared(media: Path) -> list[Compared]:
    found, alike = [], Counter[tuple[object, ...]]()
    for path in sorted((media / "videos").iterdir()):
        for frame, stream in some_pictures(path):
            lens = Lens(Look(size=SIZE), stream.sample_aspect_ratio)
            ours = lens(frame).astype(np.int64)
            tags = (frame.format.name, int(frame.colorspace), int(frame.color_range), lens.rotation)
            kind = (*tags, stream.sample_aspect_ratio, frame.width % 2, frame.height % 2, frame.height >= 720)
            alike[kind] += 1
            if alike[kind] <= ALIKE:
                found.append(beside(path.name, kind, frame, stream, ours))
    return found


def beside(
    name: str, kind: tuple[object, ...], frame: VideoFrame, stream: VideoStream, ours: np.ndarray
) -> Compared:
    sar = stream.sample_aspect_ratio
    same = exact.seen(frame, sar, SIZE, frame.to_ndarray(format="rgb24").astype(np.uint8))
    best = exact.seen(frame, sar, SIZE)
    for sited in exact.SITED[1:]:
        if np.abs(ours - best).max() > 4:
            other = exact.seen(frame, sar, SIZE, exact.rgb_of(frame, sited))
            best = min(best, other, key=lambda each: float(np.abs(ours - each).mean()))
    shorter = min(frame.width * (sar or 1), frame.height)
    apart = np.abs(ours - same), np.abs(ours - best)
    return Compared(
        name, kind, int(shorter), apart[0], exact.cosine(ours, same), apart[1], exact.cosine(ours, best)
    )


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_there_are_pictures_of_all_kinds(media: Path) -> None:
    kinds = [each.kind for each in compared(media)]
    formats, matrices, ranges, turns = ({kind[i] for kind in kinds} for i in range(4))
    assert {"yuv420p", "yuvj420p", "yuv420p10le", "yuv444p", "yuvj444p", "gray", "bgra", "rgba"} <= formats
    assert {1, 2, 5, 6, 9} <= matrices and {0, 1, 2} <= ranges and turns == {0, 90, 180, 270}
    assert {kind[4] for kind in kinds} > {None, 1} and {kind[5:7] for kind in kinds} > {(0, 0), (1, 1)}


def test_scaling_is_pillows_within_one_grey_level(media: Path) -> None:
    """Where little is taken away, or it is turned, rounding between the passes adds up to two at times."""
    for each in compared(media):
        is_easy = each.shorter >= 2 * SIZE and not each.kind[3]
        assert each.scaling.max() <= (1 if is_easy else 2), (each.file, each.scaling.max())
        assert (each.scaling > 1).mean() <= 1e-4 and each.scaling.mean() <= 0.02, each.file
        assert each.scaled_cosine >= 0.9999, (each.file, each.scaled_cosine)


def test_colours_are_those_of_the_tags_within_a_few_levels(media: Path) -> None:
    """FFmpeg's fast conversion cuts off where the exact one rounds: about one level darker."""
    for each in compared(media):
        assert each.colours.mean() <= 2, (each.file, each.colours.mean())
        is_even = each.kind[5:7] == (0, 0)  # else FFmpeg places colours as it likes
        assert each.colours.max() <= (6 if is_even else 12), (each.file, each.kind, each.colours.max())
        assert each.cosine >= 0.997, (each.file, each.cosine)
