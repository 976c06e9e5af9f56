"""What `extract` makes of a film: coded, decoded and scaled, cut into rows, and made into vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.types import Float32Array, IntArray, Look, Sampling
from extractor.encoders.base import Encoder
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from extractor.windows import Row, Window, Windows
from extractor.world.film import Film, frames
from extractor.world.grounds import Pixels

_PICTURES = 64  # that are encoded together
_CLIPS = 256

Span = tuple[float, float]


def decoded(film: Film, how: Encoding, sampling: Sampling, look: Look) -> tuple[list[Span], Tensor]:
    """uint8 [n, …]: pictures as an encoder takes them; and the seconds of each, or of each run of them."""
    times, pixels = list[Span](), list[Pixels]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, frames(film, how.fps), how)
        with Reader(path) as reader:
            for picture in reader.pictures(sampling, look):
                times.append((picture.t, picture.end))
                pixels.append(picture.pixels)
    held = torch.from_numpy(np.stack(pixels))
    return times, held.flatten(0, -4)  # of runs, each picture by itself


@dataclass(frozen=True, slots=True)
class Rows:
    """Of one kind: the seconds of each, and of which features it is made."""

    spans: list[Span] = field(default_factory=list)
    index: list[IntArray] = field(default_factory=list)

    def take(self, rows: Sequence[Row], numbers: Sequence[int]) -> None:
        """Those of a window of features that have these numbers in the film."""
        held = np.array(numbers)
        for row in rows:
            self.spans.append((row.start, row.end))
            self.index.append(held[row.index])


def cut(times: Sequence[Span], sampling: Sampling) -> tuple[Rows, Rows]:
    """Frames and clips of features at these times."""
    single, clips = Rows(), Rows()
    for window in _windows(times, Windows(sampling)):
        single.take(window.frames, window.features)
        clips.take(window.clips, window.features)
    return single, clips


def _windows(times: Sequence[Span], windows: Windows[int]) -> Iterator[Window[int]]:
    for number, (start, end) in enumerate(times):
        yield from windows.push(start, end, number)
    yield from windows.finish()


@torch.inference_mode()
def features(encoder: Encoder, pictures: Tensor) -> Tensor:
    """One of each picture, or of each run of them."""
    step = _PICTURES * encoder.spec.pictures_per_feature
    return torch.cat([encoder.features(pictures[i : i + step]) for i in range(0, len(pictures), step)])


@torch.inference_mode()
def vectors(encoder: Encoder, features: Tensor, index: Sequence[IntArray]) -> Float32Array:
    """[n, dim]: one of each of these."""
    parts = [encoder.clips(features, index[i : i + _CLIPS]) for i in range(0, len(index), _CLIPS)]
    return torch.cat(parts).float().cpu().numpy()
