"""The rows of pictures that no store holds, made as a store would hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from core.query import Frames
from core.types import Float32Array, IntArray, Kind
from core.writer import halved
from extractor.encoders.base import Captioner, Contextual, Encoder, around_of, frame_rows
from extractor.windows import Window, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_BATCH = 16
Tokens = torch.Tensor  # of some pictures


@torch.inference_mode()
def photo_rows(encoder: Encoder, pixels: NDArray[np.uint8]) -> Float32Array:
    """float32 [n, dim] of uint8 [n, size, size, 3]: each a clip of one picture."""
    return _rows(encoder, _features(encoder, pixels), [np.array([n]) for n in range(len(pixels))])


@torch.inference_mode()
def video_rows(encoder: Encoder, frames: Frames) -> dict[Kind, Float32Array]:
    """A video's rows of each kind, to the last bit of those that extraction stores."""
    assert frames.sampling is not None
    windows: Windows[Tensor] = Windows(frames.sampling, around=around_of(encoder))
    made: dict[Kind, list[Float32Array]] = {"frame": [], "clip": []}

    ready: list[Window[Tensor]] = []
    for (t, end, shot), feature in zip(frames.times, _features(encoder, frames.pixels), strict=True):
        ready += windows.push(t, end, feature, shot)
    for window in [*ready, *windows.finish()]:
        features = torch.stack(window.features)
        made["frame"].append(_frames(encoder, features, window))
        made["clip"].append(_rows(encoder, features, [row.index for row in window.clips]))
    return {kind: halved(np.concatenate(rows)).astype(np.float32) for kind, rows in made.items() if rows}


@torch.inference_mode()
def tokens_of(writer: Captioner, pixels: NDArray[np.uint8]) -> Tokens:
    """What captions are made of, of uint8 [n, size, size, 3]."""
    return writer.tokens(torch.from_numpy(pixels))


@torch.inference_mode()
def caption_of(writer: Captioner, tokens: list[Tokens], pictures: IntArray, beams: int) -> str:
    """A sentence about some of the pictures; their tokens, which came in batches, are put together once."""
    tokens[:] = [torch.cat(tokens)]
    (text,) = writer.caption(tokens[0], [pictures], beams=beams)
    return text


def _features(encoder: Encoder, pixels: NDArray[np.uint8]) -> Tensor:
    batches = (pixels[first : first + _BATCH] for first in range(0, len(pixels), _BATCH))
    return torch.cat([encoder.features(torch.from_numpy(batch)) for batch in batches])


def _frames(encoder: Encoder, features: Tensor, window: Window[Tensor]) -> Float32Array:
    index = [row.index for row in window.frames]
    if not window.runs:
        return _rows(encoder, features, index)
    return _on_host(frame_rows(cast(Contextual, encoder), features, window.runs, index))


def _rows(encoder: Encoder, features: Tensor, index: Sequence[IntArray]) -> Float32Array:
    return _on_host(encoder.clips(features, index))


def _on_host(rows: Tensor) -> Float32Array:
    found: Float32Array = rows.to("cpu", torch.float32).numpy()
    return found
