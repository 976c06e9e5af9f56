"""Ranges that several videos share: the intro of every episode, told once instead of pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from index.copies import Pair
from index.together import Together

LEAST_VIDEOS = 3


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Seconds [start, end) of a video."""

    source: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Recurring:
    """The same seconds of several videos, one span each, or more where a video shows it again."""

    spans: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        return sorted(span.seconds for span in self.spans)[len(self.spans) // 2]

    @property
    def videos(self) -> int:
        return len({span.source for span in self.spans})

    def has(self, span: Span) -> bool:
        """Whether it is one of these seconds, for the most part."""
        return any(_is_same(span, each) for each in self.spans)


def recurring(pairs: Sequence[Pair]) -> list[Recurring]:
    """What three videos or more share; most videos first."""
    together: Together[Span] = Together()
    for span, other in _sides(pairs):
        together.join(span, other)
    for span, other in pairwise(sorted(together.seen)):
        if _is_same(span, other):
            together.join(span, other)
    found = [Recurring(tuple(_told_once(spans))) for spans in together.sets()]
    several = [each for each in found if each.videos >= LEAST_VIDEOS]
    return sorted(several, key=lambda each: (-each.videos, -each.seconds, each.spans))


def _sides(pairs: Sequence[Pair]) -> Iterator[tuple[Span, Span]]:
    for pair in pairs:
        for each in pair.ranges if pair.sort != "copy" else ():
            yield (
                Span(pair.first, each.start, each.end),
                Span(pair.second, each.other_start, each.other_end),
            )


def _is_same(span: Span, other: Span) -> bool:
    """Whether they share more than half of what either has."""
    both = min(span.end, other.end) - max(span.start, other.start)
    return span.source == other.source and both > 0.5 * max(span.seconds, other.seconds)


def _told_once(spans: Sequence[Span]) -> Iterator[Span]:
    """Each video's spans, those that are nearly the same as one: its first and last seconds."""
    open_: Span | None = None
    for span in sorted(spans):
        if open_ is not None and open_.source == span.source and span.start < open_.end:
            open_ = Span(span.source, open_.start, max(open_.end, span.end))
            continue
        if open_ is not None:
            yield open_
        open_ = span
    if open_ is not None:
        yield open_
