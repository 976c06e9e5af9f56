"""How long the videos to do are, by the headers of some of them, and which of them need no decoding."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import ceil
from pathlib import Path

from core.errors import VideoError
from core.store import Store
from core.types import KINDS, Facts, Kind, Sampling
from extractor.content import samples_of
from extractor.media.reader import Reader
from extractor.spool import Beat, ChangedError, spooled
from extractor.windows import Windows
from extractor.work import Work, size_of

MOST_FILES, MOST_S = 2_000, 30.0
_MOST_POINTS = 1_024  # of a video are counted one by one; beyond, rows grow evenly
_CONTENT = ("size", "samples")
Known = Collection[tuple[int, str]]


@dataclass
class Lengths:
    """What some files are; `works` are those of them that would be decoded, and `facts` theirs."""

    works: list[Work] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    looked: int = 0
    bytes: int = 0  # of all that were looked at
    unreadable: int = 0
    unfit: Counter[str] = field(default_factory=Counter)  # "not_video" and "still": a run passes them over
    copies: int = 0  # of a content that the store has, or of another of these

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.facts)

    def rows(self, sampling: Sampling) -> Counter[Kind]:
        """The rows on a grid, at a picture a point."""
        found: Counter[Kind] = Counter()
        for facts in self.facts:
            found.update(rows_of(sampling, points_of(facts, sampling)))
        return found

    def refused(self, work: Work, why: str) -> None:
        """Passed over, unless it failed or the user named it."""
        if why and not work.named:
            self.unfit[why] += 1
        else:
            self.unreadable += 1

    def pictures(self, sampling: Sampling) -> int:
        """The points on a grid."""
        return sum(points_of(facts, sampling) for facts in self.facts)


class _EnoughError(Exception):
    """The time is over, or nobody waits any more: also in the middle of a download."""


def look_at(works: Sequence[Work], known: Known, stop: threading.Event) -> Lengths:
    """Open these, as many as there is time for, and decode nothing."""
    found, until = Lengths(), time.monotonic() + MOST_S

    def beat() -> None:
        if stop.is_set() or time.monotonic() > until:
            raise _EnoughError

    copies = _copies(works, known)
    with suppress(_EnoughError):
        for work in works:
            beat()
            if work.key in copies:
                found.copies += 1
            else:
                _look(found, work, beat)
            found.looked += 1
            found.bytes += size_of(work.place)
    return found


def _look(found: Lengths, work: Work, beat: Beat) -> None:
    try:
        with spooled(work, beat) as file, Reader(Path(os.fsdecode(file))) as reader:
            found.facts.append(reader.facts)
        found.works.append(work)
    except VideoError as error:
        found.refused(work, error.why)
    except (OSError, ChangedError):
        found.unreadable += 1


def known_contents(store: Store) -> set[tuple[int, str]]:
    """Size and samples of every content that has rows."""
    tables = (store.shard(name).sources for name in sorted(store.log.last().shards()))
    # A shard of sidecars alone knows neither.
    held = (table.select(_CONTENT).to_pydict() for table in tables if {*_CONTENT} <= {*table.column_names})
    return {(size, samples) for of in held for size, samples in zip(*of.values(), strict=True) if samples}


def _copies(works: Iterable[Work], known: Known) -> set[tuple[str, bytes]]:
    """Only files of a size that was met before are read, and of those a few bytes."""
    sizes = {size for size, _ in known}
    by_size: dict[int, list[Work]] = {}
    for work in works:
        if work.file:
            by_size.setdefault(size_of(work.place), []).append(work)
    copies = set()
    for size, alike in by_size.items():
        if len(alike) > 1 or size in sizes:
            seen = {samples for held, samples in known if held == size}
            for work, samples in _sampled(alike):
                if samples in seen:
                    copies.add(work.key)
                seen.add(samples)
    return copies


def _sampled(works: Iterable[Work]) -> Iterator[tuple[Work, str]]:
    for work in works:
        with suppress(OSError):
            yield work, samples_of(work.file)


def points_of(facts: Facts, sampling: Sampling) -> int:
    """Points of the grid before the end, but no more than there are pictures."""
    points = max(1, ceil(facts.seconds * sampling.fps - 1e-6))
    rate = Fraction(facts.frame_rate) if facts.frame_rate else Fraction(0)
    return min(points, max(1, round(facts.seconds * rate))) if rate else points


def rows_of(sampling: Sampling, points: int) -> dict[Kind, int]:
    """The rows of a video with so many points of a grid."""
    if sampling.is_whole:
        return {"frame": points * sampling.keep_frames, "clip": 1, "text": 0}
    counted = min(points, _MOST_POINTS)
    rows = _counted(sampling, counted)
    return {kind: round(rows.get(kind, 0) * points / counted) for kind in KINDS}


@lru_cache(maxsize=2 * _MOST_POINTS)
def _counted(sampling: Sampling, points: int) -> dict[Kind, int]:
    windows = Windows[None](sampling)
    made = [windows.push(n / sampling.fps, (n + 1) / sampling.fps, None) for n in range(points)]
    found = [window for each in (*made, windows.finish()) for window in each]
    return {
        "frame": sum(len(window.frames) for window in found),
        "clip": sum(len(window.clips) for window in found),
    }
