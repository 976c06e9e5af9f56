"""Seconds of a video by labels: which of them each is about, or when each step of a plan is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from core.errors import EncoderError, UsageError
from core.types import Float32Array, Float64Array, IntArray
from extractor.encoders.base import around_of
from index.catalogue import page
from index.timeline import Timeline
from server.judged import rounded
from server.labels import Labelling, Vocabulary, label_cache
from server.searcher import Searcher
from server.stored import Named

NONE = -1  # of a second that no label is about
BYTES_A_SCORE = 16  # a float32, and of steps its share and the second before it
MOST_SCORES = 256_000_000 // BYTES_A_SCORE  # seconds times labels
_LABELS = 1_000  # compared with all others at once: of 10,000 labels 40 MB

Sort = Literal["labels", "steps"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Seconds [start, end) that are about one label, with the mean of their scores."""

    start: float
    end: float
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Segmented:
    """The segments of a video: by labels in order of time, by steps in theirs."""

    video_id: str
    segments: list[Segment]
    min_score: float | None  # what a label had to exceed
    encoder: str
    snapshot: int
    truncated: bool


def segmented(
    searcher: Searcher, named: Named, sort: Sort, texts: tuple[str, ...], min_score: float | None = None
) -> Segmented:
    """From the stored states of seconds; an Error for encoders that have none."""
    view, encoder = searcher.view, searcher.encoder
    if around_of(encoder) is None:
        raise EncoderError(
            f"{encoder.spec.name} cannot segment: its rows of pictures do not know what is around them, as "
            "those of videoclip do; POST /locate says where texts are."
        )
    _, rows = named.rows(view, "frame")
    _require_few(rows, sort, len(texts))
    labelling = Labelling(Vocabulary(texts), label_cache())
    labelling.advance(encoder, np.inf)
    vectors, truncated = labelling.vectors()
    scores = rows.scores(vectors)
    if sort == "steps":
        found, bar = list(_steps(rows, texts, scores)), None
    else:
        bar = background(vectors) if min_score is None else min_score
        found = list(_labels(rows, texts, scores, bar))
        bar = bar if np.isfinite(bar) else None
    return Segmented(named.source, found, bar, searcher.name, view.number, truncated)


def video_of(searcher: Searcher, name: str) -> str:
    """The id of a video that is named by it, or by its path."""
    if searcher.view.source(name) is not None:
        return name
    found = page(searcher.view, [name], None, 1).videos
    if not found or found[0].path != name:
        raise UsageError(f"There is no video {name!r} in {searcher.view.store.root}, by id or by path.")
    return found[0].info.id


def _require_few(rows: Timeline, sort: Sort, texts: int) -> None:
    seconds = len(rows)
    if sort == "steps" and texts > seconds:
        raise UsageError(f"{texts} steps have no second each: the video has {seconds} there.")
    if seconds * texts > MOST_SCORES:
        raise UsageError(
            f"{seconds} seconds and {texts} {sort} are too many together; --start and --end take fewer."
        )


def _labels(rows: Timeline, texts: Sequence[str], scores: Float32Array, bar: float) -> Iterator[Segment]:
    """A segment where seconds that touch are about the same label."""
    numbers = labelled(scores, bar)
    is_new = np.flatnonzero((np.diff(numbers) != 0) | (rows.start[1:] > rows.end[:-1])) + 1
    for first, last in pairwise([0, *is_new.tolist(), len(numbers)]):
        if (number := int(numbers[first])) != NONE:
            score = float(scores[number, first:last].mean(dtype=np.float64))
            ends = float(rows.end[first:last].max())
            yield Segment(float(rows.start[first]), ends, texts[number], rounded(score))


def _steps(rows: Timeline, texts: Sequence[str], scores: Float32Array) -> Iterator[Segment]:
    for number, at in enumerate(in_order(shares(scores)).tolist()):
        score = rounded(float(scores[number, at]))
        yield Segment(float(rows.start[at]), float(rows.end[at]), texts[number], score)


def background(labels: Float32Array) -> float:
    """What a score must exceed to say anything: the largest inner product of two different labels."""
    return max((_largest(labels, first) for first in range(0, len(labels), _LABELS)), default=-np.inf)


def _largest(labels: Float32Array, first: int) -> float:
    """Of some labels, from that number on, with all but themselves."""
    products = labels[first : first + _LABELS] @ labels.T
    np.fill_diagonal(products[:, first:], -np.inf)
    return float(products.max())


def labelled(scores: Float32Array, above: float) -> IntArray:
    """The number of each second's best label, or NONE, of [labels, seconds]."""
    found: IntArray = np.where(scores.max(axis=0) > above, scores.argmax(axis=0), NONE)
    return found


def shares(scores: Float32Array) -> Float64Array:
    """[steps, seconds]: the logarithm of each step's share in a second."""
    found = scores.astype(np.float64)
    found -= scores.max(axis=0)
    total = np.zeros(found.shape[1])
    for step in found:
        total += np.exp(step)
    found -= np.log(total)
    return found


def in_order(shares: Float64Array) -> IntArray:
    """The second of each step, [steps]: each has one, one later than the step before, of all such choices the
    likeliest. There must be as many seconds as steps."""
    steps, seconds = shares.shape
    if steps > seconds:
        raise ValueError(f"{steps} steps have no second each among {seconds}.")
    best = shares[0]
    before = np.zeros((steps, seconds), np.int32)
    for step in range(1, steps):
        leader = _leaders(best)
        before[step, 1:] = leader[:-1]
        reached = np.full(seconds, -np.inf)
        reached[1:] = best[leader[:-1]] + shares[step, 1:]
        best = reached
    found = np.empty(steps, np.int64)
    found[-1] = best.argmax()
    for step in range(steps - 1, 0, -1):
        found[step - 1] = before[step, found[step]]
    return found


def _leaders(values: Float64Array) -> IntArray:
    """Where the greatest value so far is, the first of equal ones."""
    rises = values > np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    rises[0] = True
    found: IntArray = np.maximum.accumulate(np.where(rises, np.arange(len(values)), 0))
    return found
