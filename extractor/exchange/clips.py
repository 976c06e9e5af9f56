"""Clips of imported pictures: the runs that `extract` would make, each the mean of its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from core.types import Float32Array, Sampling
from extractor.exchange.found import Rows
from extractor.windows import Window, Windows


def clips_of(frames: Rows, sampling: Sampling, *, is_unit: bool) -> Rows:
    """Means of unit vectors are made unit again, as image encoders' clips are; of others they are plain."""
    rows = [
        (row.start, row.end, [window.features[i] for i in row.index])
        for window in _windows(frames, sampling)
        for row in window.clips
    ]
    vectors = frames.vectors.astype(np.float32)
    means = np.stack([vectors[points].mean(axis=0) for _, _, points in rows])
    return Rows(
        unit(means) if is_unit else means,
        np.array([start for start, _, _ in rows]),
        np.array([end for _, end, _ in rows]),
    )


def unit(vectors: Float32Array) -> Float32Array:
    """Each of length 1; one that is nothing stays so."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Float32Array, vectors / np.where(lengths > 0, lengths, 1))


def _windows(frames: Rows, sampling: Sampling) -> Iterator[Window[int]]:
    windows = Windows[int](replace(sampling, keep_frames=False))
    for number, (start, end) in enumerate(zip(frames.start.tolist(), frames.end.tolist(), strict=True)):
        yield from windows.push(start, end, number)
    yield from windows.finish()
