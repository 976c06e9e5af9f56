"""DiDeMo's moments: which of the runs of five seconds of half a minute a text is about."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from core.types import Float32Array

CHUNK_SECONDS, CHUNKS = 5, 6
MOMENTS = tuple(combinations_with_replacement(range(CHUNKS), 2))  # first and last chunk


def ranked(states: Float32Array, text: Float32Array, seconds: int) -> list[tuple[int, int]]:
    """The moments, best first, by the inner product of a text with the mean of their seconds' states. Of
    [30 or more, dim] states the first `seconds` are of the video; what lies behind is padding, which counts
    in a mean as the authors have it, but a moment of nothing else is left out. Equal ones as they come."""
    if len(states) < CHUNKS * CHUNK_SECONDS:
        raise ValueError(f"{len(states)} states are fewer than the {CHUNKS * CHUNK_SECONDS} of all moments.")
    known = [(first, last) for first, last in MOMENTS if first * CHUNK_SECONDS < seconds]
    scores = [
        float(states[first * CHUNK_SECONDS : (last + 1) * CHUNK_SECONDS].mean(axis=0) @ text)
        for first, last in known
    ]
    return [known[at] for at in np.argsort(-np.array(scores), kind="stable").tolist()]
