"""Where in a stored video texts are: the score of each second, and the ranges that stand out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import Float32Array, Float64Array, Kind
from extractor.encoders.base import unknown_to
from index.calibration import Judge, Level
from index.timeline import Timeline
from server.errors import ApiError
from server.labels import Labelling
from server.searcher import Searcher
from server.stored import Named

MOST_ROWS = 200_000  # 10 hours of 5 pictures a second
MOST_SCORES = 4_000_000  # rows times texts
MOST_SHOWN = 250_000  # scores in an answer: 3 MB
MOST_RANGES = 100  # a text
_ROUNDS = 50
_SAME = 1e-3  # of the highest score: what float16 rows alone may differ by


@dataclass(frozen=True, slots=True)
class Range:
    """Seconds [start, end) that stand out, with the score of the best row in them."""

    start: float
    end: float
    score: float
    confidence: float | None = None
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """Scores along a video, [texts, times], and the best ranges of each text."""

    times: Float64Array
    scores: Float32Array
    ranges: list[list[Range]]
    kind: Kind
    encoder: str
    snapshot: int
    truncated: bool
    unknown: tuple[str, ...]  # texts of no word that the encoder knows


def located(searcher: Searcher, named: Named, labelling: Labelling, seconds: float) -> Located | None:
    """From the rows of single pictures, or of clips where there are no others. None where some texts are not
    encoded within about so many seconds; what is done is not lost."""
    view, encoder = searcher.view, searcher.encoder
    kind, rows = named.rows(view, "frame", "clip")
    _require_few(rows, len(labelling.vocabulary.labels))
    if not labelling.advance(encoder, seconds):
        return None
    vectors, truncated = labelling.vectors()
    scores = rows.scores(vectors)
    judges = [view.calibrated.judge(kind, "text", vector) for vector in vectors]
    ranges = [ranges_of(rows, mine, judge) for mine, judge in zip(scores, judges, strict=True)]
    times, shown = _thinned(rows.start, scores)
    unknown = unknown_to(encoder, labelling.vocabulary.labels)
    return Located(times, shown, ranges, kind, searcher.name, view.number, truncated, unknown)


def _require_few(rows: Timeline, texts: int) -> None:
    most = min(MOST_ROWS, MOST_SCORES // texts)
    if len(rows) > most:
        message = (
            f"video_id: the video has {len(rows)} rows there, of which {texts} texts are compared with "
            f"{most} at most; start and end take fewer."
        )
        raise ApiError(400, message, "video_id")


def ranges_of(rows: Timeline, scores: Float32Array, judge: Judge | None = None) -> list[Range]:
    """The best first: rows that touch, all of them above the lower bar and one above the upper one."""
    low, high = bars(scores.astype(np.float64), judge.half if judge else None)
    at = np.flatnonzero(scores >= low)
    begins, reach = rows.start[at], np.maximum.accumulate(rows.end[at])
    is_apart = (np.diff(at, prepend=-2) > 1) | (begins > np.concatenate([[-np.inf], reach[:-1]]))
    first = np.flatnonzero(is_apart)
    best = np.maximum.reduceat(scores[at], first)
    starts, ends = begins[first], np.maximum.reduceat(rows.end[at], first)
    ends[:-1] = np.minimum(ends[:-1], starts[1:])  # of clips that overlap
    kept = np.flatnonzero(best >= high)
    kept = kept[np.argsort(-best[kept], kind="stable")][:MOST_RANGES]
    found = zip(starts[kept].tolist(), ends[kept].tolist(), best[kept].tolist(), strict=True)
    return [_range(*each, judge) for each in found]


def _range(start: float, end: float, score: float, judge: Judge | None) -> Range:
    if judge is None:
        return Range(start, end, score)
    return Range(start, end, score, judge.confidence(score), judge.level(score))


def bars(scores: Float64Array, half: float | None) -> tuple[float, float]:
    """What a range must keep above, and what it must reach: a quarter and half of the way from what scores
    where the text is not up to the best row. A score that is as likely as not always reaches it."""
    best, weakest = float(scores.max()), float(scores.min())
    if best - weakest <= _SAME * max(abs(best), abs(weakest)):
        return weakest, weakest  # all alike
    background = weakest
    for _ in range(_ROUNDS):
        high = (best + background) / 2
        before, background = background, float(scores[scores < high].mean())
        if background - before <= _SAME * (best - weakest):
            break
    high = min((best + background) / 2, np.inf if half is None else half)
    return min(high, (high + background) / 2), high


def _thinned(times: Float64Array, scores: Float32Array) -> tuple[Float64Array, Float32Array]:
    """As few times as an answer may have; a time then stands for all rows up to the next one."""
    step = -(-scores.size // MOST_SHOWN)
    firsts = np.arange(0, len(times), step)
    thinned: Float32Array = np.maximum.reduceat(scores, firsts, axis=1)
    return times[firsts], thinned
