"""Which pictures a regular grid in time sees, and which seconds each then stands for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from math import ceil

from extractor.media.clock import F, Shown

End = Callable[[], Fraction]  # the end of the pictures that have come so far


@lru_cache(maxsize=64)
def exact(number: float) -> Fraction:
    """The number that was written: 0.1 is a tenth, not its nearest binary neighbour."""
    return Fraction(repr(number))


def on_grid(pictures: Iterable[Shown[F]], fps: Fraction, end: End) -> Iterator[Shown[F]]:
    """What a player shows at 0, 1/fps, 2/fps, …: the picture begun last, before the first one the first; each
    once, for as long as it stays or for 1/fps. Grid points lie before the end."""
    held: Shown[F] | None = None
    seen, step = False, 1 / fps
    for picture in pictures:
        if held is not None and is_seen(held, picture.t, fps, seen):
            yield held.until(max(picture.t, held.t + step))
            seen = True
        held = picture
    if held is not None and (not seen or is_seen(held, end(), fps, seen)):
        yield held.until(end())


def is_seen(picture: Shown[F], until: Fraction, fps: Fraction, seen: bool) -> bool:
    """Whether the grid sees a picture that is shown until then; `seen`: it has seen one before."""
    if until <= picture.t:
        return False
    return not seen or ceil(picture.t * fps) < until * fps


def rows(pictures: Iterable[Shown[F]], fps: Fraction, end: End) -> Iterator[Shown[F]]:
    """The pictures on the grid, each until the next one on it at least; none reaches over the end."""
    waiting: deque[Shown[F]] = deque()
    for picture in on_grid(pictures, fps, end):
        if waiting:
            last = waiting.pop()
            waiting.append(last.until(max(picture.t, last.end)))
        while waiting and waiting[0].end <= end():  # how long the video is turns out only at its end
            yield waiting.popleft()
        waiting.append(picture)
    yield from (row.until(min(row.end, end())) for row in waiting)
