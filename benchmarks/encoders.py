"""What each family adds to its own bare backbone, what batches across videos gain, what an hour of it costs.

Random weights, which cost what others do; what is shipped has its own. An hour is encoding alone, at a new
store's pictures a second.

python benchmarks/encoders.py [MODEL …] [--device cuda] [--precision bf16] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from core.errors import Error, UsageError
from core.types import IntArray, Sampling
from extractor.encoders import TAKE_WEIGHTS, load
from extractor.encoders.base import Around, Contextual, Encoder, Pace, around_of, frame_rows
from extractor.encoders.tower import Tower
from extractor.encoders.trial import trial_pictures
from extractor.windows import Window, Windows

BATCH = 16  # pictures, and videos of CLIP entries
CLIP, STRIDE = 8, 4  # pictures
PAIRS, QUICK_PAIRS = 7, 3
MODELS = (
    "open_clip:ViT-B-32",
    "clip2video",
    "videococa:coca_ViT-B-32",
    "open_clip:PE-Core-B-16",
    "videococa:coca_ViT-L-14",
    "s3d",
    "videoclip",
)
QUICK_MODELS = MODELS[:3]
WHOLE = "rows of pictures and clips ÷ the bare backbone, pictures a second"
HOUR = "encoding an hour of video, at a new store's pictures a second"
ACROSS = f"up to {BATCH} videos of {CLIP} entries at once ÷ one of them at a time"
VIDEOS, QUICK_VIDEOS = 16, 4
SECONDS_VIDEOS, QUICK_SECONDS_VIDEOS = 4, 2  # where an entry is a second of pictures
SECONDS = 4  # at a time, where a feature is made of a second of pictures
_WARM = 2

Clock = Callable[[], float]


@dataclass(frozen=True)
class Tried:
    """An encoder, and its tower: of every family the backbone alone, up to the last block."""

    name: str
    encoder: Encoder
    tower: Tower

    @classmethod
    def of(cls, name: str, encoder: Encoder) -> Tried:
        """A tower is the encoder's own, or that of what it is made of."""
        parts = [encoder, *vars(encoder).values()]
        found = (getattr(part, "tower", None) for part in parts)
        towers = [each for each in found if isinstance(each, Tower)]
        if not towers:
            raise UsageError(f"{name} has no tower of pictures to measure it against.")
        return cls(name, encoder, towers[0])

    @property
    def per(self) -> int:
        """Pictures of which one feature is made: entries of a clip."""
        return self.encoder.spec.pictures_per_feature

    @property
    def batch(self) -> int:
        """Pictures at a time, on both sides."""
        return BATCH if self.per == 1 else SECONDS * self.per

    def videos(self, *, is_quick: bool) -> int:
        """How many of them, unless it is said."""
        if self.per == 1:
            return QUICK_VIDEOS if is_quick else VIDEOS
        return QUICK_SECONDS_VIDEOS if is_quick else SECONDS_VIDEOS

    def pictures(self, entries: int) -> Tensor:
        size, count = self.encoder.spec.look.size, entries * self.per
        drawn = torch.from_numpy(trial_pictures(size, BATCH))
        return drawn.repeat(-(-count // BATCH), 1, 1, 1)[:count]

    def prepared(self, pictures: Tensor) -> Tensor:
        """Bytes → what the first layer takes."""
        return self.tower._input(pictures)

    def bare(self, prepared: Tensor) -> Tensor:
        return self.tower._encode(prepared)

    def features(self, pictures: Tensor) -> Tensor:
        return torch.cat([self.encoder.features(batch) for batch in torch.split(pictures, self.batch)])


def windows(count: int) -> list[IntArray]:
    """A row of each picture, and clips that overlap, of which the last ends with the video."""
    starts = [*range(0, max(count - CLIP, 0) + 1, STRIDE)]
    return [np.array([n]) for n in range(count)] + [np.arange(s, min(s + CLIP, count)) for s in starts]


def extracted(count: int, around: Around) -> Iterator[Window[int]]:
    """The same rows as extraction makes them where pictures know what is around them."""
    found = Windows[int](Sampling(clip_seconds=CLIP, stride_seconds=STRIDE), around=around)
    for number in range(count):
        yield from found.push(number, number + 1, number)
    yield from found.finish()


@torch.inference_mode()
def alone(tried: Tried, prepared: Tensor) -> None:
    """The backbone, and nothing else."""
    for batch in torch.split(prepared, tried.batch):
        tried.bare(batch)


@torch.inference_mode()
def whole(tried: Tried, pictures: Tensor) -> None:
    """As a video is encoded."""
    encoder, features = tried.encoder, tried.features(pictures)
    if (around := around_of(encoder)) is None:
        encoder.clips(features, windows(len(features))).cpu()
        return
    for window in extracted(len(features), around):
        held = features[list(window.features)]
        if window.frames:
            frame_rows(
                cast(Contextual, encoder), held, window.runs, [row.index for row in window.frames]
            ).cpu()
        encoder.clips(held, [row.index for row in window.clips]).cpu()


@torch.inference_mode()
def one_by_one(tried: Tried, pictures: Tensor) -> None:
    """Each clip's pictures are a video."""
    for video in torch.split(pictures, CLIP * tried.per):
        features = tried.encoder.features(video)
        tried.encoder.clips(features, [np.arange(len(features))]).cpu()


@torch.inference_mode()
def together(tried: Tried, pictures: Tensor) -> None:
    """The same videos, so many at once: their pictures in one pass, and their clips in one."""
    for videos in torch.split(pictures, BATCH * CLIP * tried.per):
        features = tried.encoder.features(videos)
        index = [np.arange(first, first + CLIP) for first in range(0, len(features), CLIP)]
        tried.encoder.clips(features, index).cpu()


def ratios(
    ours: Callable[[], None], theirs: Callable[[], None], pairs: int, clock: Clock
) -> Iterator[tuple[float, float]]:
    """How much longer theirs takes than ours, in pairs that take turns, and the seconds of ours."""
    for number in range(_WARM + pairs):
        took = []
        for way in (ours, theirs) if number % 2 else (theirs, ours):
            began = clock()
            way()
            took.append(clock() - began)
        mine, other = took if number % 2 else reversed(took)
        if number >= _WARM:
            yield other / mine, mine


def figures(tried: Tried, pairs: int, videos: int, device: str) -> Iterator[Figure]:
    """What is measured of one model."""
    is_gpu, clock = device.startswith("cuda"), _clock(device)
    of = "second" if is_gpu else "CPU second"
    entries = videos * CLIP
    pictures = tried.pictures(entries)
    with torch.inference_mode():
        prepared = tried.prepared(pictures)
    rows, seconds = _measured(partial(whole, tried, pictures), partial(alone, tried, prepared), pairs, clock)
    clips = len(windows(entries)) - entries
    note = f"{len(pictures) / seconds:.1f} pictures and {clips / seconds:.1f} clips a {of}"
    yield Figure(f"{tried.name} rows", rows, Bar(WHOLE, 0.8, 0.95), note)
    if videos > 1:  # of one both ways are the same
        gains, least = _measured(
            partial(together, tried, pictures), partial(one_by_one, tried, pictures), pairs, clock
        )
        note = f"{len(pictures) / least:.1f} pictures and {videos / least:.1f} clips a {of}"
        yield Figure(f"{tried.name} batches", gains, Bar(ACROSS, 2.0 if is_gpu else None), note)
    fps = tried.encoder.spec.sampling.fps
    bar = Bar(HOUR, better="lower", unit="min" if is_gpu else "CPU min")
    note = f"{fps * tried.per:g} pictures a second"
    yield Figure(f"{tried.name} hour", (seconds / entries * fps * 60,), bar, note)


def _measured(
    ours: Callable[[], None], theirs: Callable[[], None], pairs: int, clock: Clock
) -> tuple[tuple[float, ...], float]:
    """The ratios, and the seconds of ours at their median."""
    found = [*ratios(ours, theirs, pairs, clock)]
    seconds = sorted(mine for _, mine in found)
    return tuple(ratio for ratio, _ in found), seconds[len(seconds) // 2]


def opened(name: str, device: str, precision: str | None) -> Tried:
    """What is measured under that name; an Error says why it cannot be."""
    family = name.partition(":")[0]
    options: dict[str, Any] = {"random_weights": 0} if family in TAKE_WEIGHTS else {}
    pace = Pace(precision) if precision else None
    return Tried.of(name, load(name, device=device, pace=pace, **options))


def _clock(device: str) -> Clock:
    """Of a GPU the seconds that pass until it is done; of a processor those that it works."""
    if not device.startswith("cuda"):
        return time.process_time

    def now() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return now


def main(argv: Sequence[str] | None = None) -> int:
    """1 if a bar is missed, or a model was left out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", help=f"FAMILY:MODEL; by default {', '.join(MODELS)}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", help="fp32, which is the default, bf16 or fp16, of both sides")
    parser.add_argument("--videos", type=int, default=0, help=f"of {CLIP} entries each")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=new_file)
    asked = parser.parse_args(argv)
    names = asked.models or (QUICK_MODELS if asked.quick else MODELS)
    pairs = QUICK_PAIRS if asked.quick else PAIRS
    found: list[Figure] = []
    is_whole = True
    for name in names:
        try:
            tried = opened(name, asked.device, asked.precision)
        except Error as error:  # as where BERT's vocabulary is not there
            sys.stderr.write(f"{name} is left out: {error}\n")
            is_whole = False
            continue
        found += figures(tried, pairs, asked.videos or tried.videos(is_quick=asked.quick), asked.device)
    code = shown(found, asked.json) if found else 1
    return code if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
