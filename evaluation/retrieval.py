"""Retrieval both ways, from a matrix of scores: R@1, R@5, R@10, median and mean rank.

A rank counts from 1, and ties count against: whatever scores as high as the right answer stands before it. So
a model that gives everything the same score finds nothing. Where no scores are equal, this is what CLIP2Video
prints; where some are, its code counts a query once for every equal score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import UsageError

Ranks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """Of many queries: how often the right answer was among the first, and where it stood."""

    queries: int
    r1: float  # per cent of the queries
    r5: float
    r10: float
    median_rank: float  # of an even number of queries the mean of the two in the middle
    mean_rank: float

    @classmethod
    def of(cls, ranks: Ranks) -> Found:
        """From where each query's answer stands."""
        r1, r5, r10 = (100 * float((ranks <= most).mean()) for most in (1, 5, 10))
        return cls(len(ranks), r1, r5, r10, float(np.median(ranks)), float(ranks.mean()))


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Texts that look for videos, and videos that look for texts."""

    text_to_video: Found
    video_to_text: Found


def retrieval(scores: ArrayLike, video_of: ArrayLike | None = None) -> Retrieval:
    """Of scores [texts, videos]. `video_of` says whose each text is; without it text i is video i's."""
    return Retrieval(Found.of(ranks_of_videos(scores, video_of)), Found.of(ranks_of_texts(scores, video_of)))


def ranks_of_videos(scores: ArrayLike, video_of: ArrayLike | None = None) -> Ranks:
    """For each text where its video stands among all."""
    held, right = _checked(scores, video_of)
    return _ranks(held, right)


def ranks_of_texts(scores: ArrayLike, video_of: ArrayLike | None = None) -> Ranks:
    """For each video where its texts stand among all videos' texts, each video's by the best of them."""
    held, right = _checked(scores, video_of)
    best = np.full((held.shape[1], held.shape[1]), -np.inf, held.dtype)  # [whose texts, video]
    np.maximum.at(best, right, held)
    return _ranks(best.T, np.arange(held.shape[1]))


def _ranks(scores: NDArray[Any], right: NDArray[np.int64]) -> Ranks:
    """How many in each row score as high as the right one or higher, itself among them."""
    own = np.take_along_axis(scores, right[:, None], axis=1)
    return np.asarray((scores >= own).sum(axis=1), np.int64)


def _checked(scores: ArrayLike, video_of: ArrayLike | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    held = np.asarray(scores)
    if held.ndim != 2 or not held.size or held.dtype.kind not in "fiu":
        raise UsageError(f"Scores must be numbers [texts, videos] (got {held.dtype} {list(held.shape)}).")
    if not np.isfinite(held).all():
        raise UsageError("Scores must be finite: what is no number has no rank.")
    texts, videos = held.shape
    if video_of is None and texts != videos:
        raise UsageError(f"Of {texts} texts and {videos} videos it must be said whose each text is.")
    right = np.arange(texts) if video_of is None else np.asarray(video_of)
    if right.shape != (texts,) or right.dtype.kind not in "iu":
        raise UsageError(
            f"Each of {texts} texts must have the number of its video (got {list(right.shape)})."
        )
    if set(right.tolist()) != set(range(videos)):
        raise UsageError(f"Each of {videos} videos must have a text, and each text one of these videos.")
    return held, right.astype(np.int64)
