"""What is asked and answered, apart from HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from core.types import Float32Array, Float64Array, IntArray, Kind, Look, Sampling, Segment


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """What is no source of a store, as an encoder sees it: a photo, or a video's pictures on a sampling."""

    pixels: NDArray[np.uint8]  # [n, size, size, 3]
    look: Look
    times: tuple[tuple[float, float, float], ...] = ()  # each one's start, its end, its shot's start
    sampling: Sampling | None = None  # None: a photo, without times


@dataclass(frozen=True, slots=True)
class Part:
    """One thing asked for: a text, a stored source or seconds of it, a stored row, pictures, or a vector."""

    text: str = ""
    source: str = ""
    start: float | None = None
    end: float | None = None
    weight: float = 1.0  # below 0 pushes away
    row: str = ""  # an id, as answers have it
    vector: tuple[float, ...] = ()
    frames: Frames | None = None
    # Where it stands in the request, as "query[0]"; no part of what it is.
    at: str = field(default="query[0]", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One of several things that happen in one source, or that do not."""

    parts: tuple[Part, ...]
    absent: bool = False


Mode = Literal["visual", "text", "hybrid"]  # by vectors, by words, by both
Extra = Literal["metadata", "thumbnail", "scores", "explain", "vector"]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, after validation."""

    parts: tuple[Part, ...]
    target: str = "videos"  # or "texts"
    kind: Kind | None = None  # None: clips where there are any, else frames
    limit: int = 10
    by_video: bool = False
    group_size: int = 3
    merge_gap_s: float | None = 0.0  # hits of one source so near are one moment; None: never
    pad_s: float = 0.0
    effort: int | None = None  # lists to probe; None: what was found to be enough
    exact: bool = False  # compare with every row
    where: Where | None = None
    mode: Mode | None = None  # None: both where there are lines, else by vectors
    weigh_frames: bool = False  # moments of clips come in the order of their pictures
    min_score: float | None = None
    min_confidence: float | str | None = None  # or "high", "medium", "low"
    diversity: float = 0.0  # how far results are chosen for being unlike those before them
    steps: tuple[Step, ...] = ()  # a sequence, in place of parts
    within_s: float | None = None  # from the end of a step to the start of the next, at most
    min_gap_s: float = 0.0  # and at least
    include: frozenset[Extra] = frozenset({"metadata", "thumbnail"})
    encoder_options: tuple[tuple[str, Value], ...] = ()  # an encoder's own


Value = str | int | float | bool
Test = Literal["eq", "in", "gte", "lte", "prefix", "exists"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Tests of one column, all to hold of one of its values: `in` has several to be one of."""

    column: str  # "codec", "metadata.tags"; "start" and "end" are the row's own
    tests: tuple[tuple[Test, Value | tuple[Value, ...]], ...]
    # Where it stands in the request, as "filter.must[0].codec"; no part of what it is.
    at: str = field(default="", compare=False, repr=False)
    is_short: bool = field(default=False, compare=False, repr=False)  # {"codec": "h264"}, no test named


@dataclass(frozen=True, slots=True)
class Where:
    """All of must, one of should where there are any, none of must_not."""

    must: tuple[Condition | Where, ...] = ()
    should: tuple[Condition | Where, ...] = ()
    must_not: tuple[Condition | Where, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look at: of these sources (None: of all), less the hidden ones, what the conditions keep."""

    sources: frozenset[str] | None = None
    hidden: frozenset[str] = frozenset()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """How far an approximate index looks; an exact one finds all there is at any effort."""

    lists: int = 0  # to look into; 0: all of them
    candidates: int = 1  # times k rows that lossy codes pick, to be scored by the stored vectors


@dataclass(frozen=True, slots=True)
class Segments(Sequence[Segment]):
    """Segments as columns: of the hundreds of rows that are looked at, few are ever looked at one by one."""

    source: Sequence[str]
    start: Float64Array
    end: Float64Array
    text: Sequence[str] = ()  # of none of them, or of each

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Segments:
        """The columns of any segments."""
        if isinstance(segments, Segments):
            return segments
        start, end = [each.start for each in segments], [each.end for each in segments]
        texts = [each.text for each in segments]
        return cls([each.source for each in segments], np.array(start, float), np.array(end, float), texts)

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> Segments: ...
    def __getitem__(self, number: int | slice) -> Segment | Segments:
        if isinstance(number, slice):
            return Segments(self.source[number], self.start[number], self.end[number], self.text[number])
        text = self.text[number] if self.text else ""
        return Segment(self.source[number], float(self.start[number]), float(self.end[number]), text)


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows of one query, best first."""

    segments: Sequence[Segment]
    scores: Float32Array
    partial: tuple[str, ...] = ()  # parts that did not answer in time
    # Which parts of those searched they lie in, and where; None of what was chosen since.
    part: IntArray | None = None
    position: IntArray | None = None

    def __post_init__(self) -> None:
        if len(self.segments) != len(self.scores):
            raise ValueError(f"{len(self.segments)} segments have {len(self.scores)} scores")

    @classmethod
    def none(cls) -> Hits:
        return cls((), np.empty(0, np.float32))


class Search(Protocol):
    """What the server needs; index.Snapshot is one, an engine beyond one box another."""

    def search(
        self,
        kind: Kind,
        vectors: Float32Array,
        k: int,
        *,
        filter: Filter | None = None,
        effort: int | None = None,
        exact: bool = False,
    ) -> list[Hits]:
        """The best k rows of each query, vectors: [n, dim]. effort: lists; exact: compared with every row."""
        ...

    def vectors(self, source: str, kind: Kind) -> tuple[Sequence[Segment], Float32Array]:
        """A stored source's rows, as a query or part of one."""
        ...
