"""What a server answers. Fields that a newer one adds are kept."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Told(BaseModel):
    """Something that was answered."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Best(Told):
    """The second to show."""

    t: float
    thumbnail: str | None = None  # its picture's path on the server


class Row(Told):
    """A row of a moment."""

    id: str
    start: float
    end: float
    score: float


class Explained(Told):
    """How a result came to its place."""

    ranks: dict[str, int] = {}
    fused: float | None = None
    weighed: float | None = None
    merged: int = 0
    rows: list[Row] = []


class Result(Told):
    """A moment of a video, or a library text."""

    id: str
    video_id: str
    path: str
    paths: list[str] = []
    start: float
    end: float
    score: float | None = None
    confidence: float | None = None
    confidence_level: str | None = None
    best: Best | None = None
    matched_on: list[str] = []
    approximate: bool = False
    text: str | None = None
    written_by: str | None = None
    metadata: dict[str, Any] = {}
    scores: list[float] = []
    explain: Explained | None = None
    vector: list[float] = []


class VideoResult(Told):
    """A video with its best moments."""

    video_id: str
    path: str
    paths: list[str] = []
    score: float | None = None
    confidence: float | None = None
    confidence_level: str | None = None
    metadata: dict[str, Any] = {}
    moments: list[Result]


class SequenceResult(Told):
    """A result for each step, in order of time; None for one that is absent."""

    video_id: str
    path: str
    paths: list[str] = []
    start: float
    end: float
    score: float | None = None
    confidence: float | None = None
    confidence_level: str | None = None
    metadata: dict[str, Any] = {}
    steps: list[Result | None]


Found = Result | VideoResult | SequenceResult


class Total(Told):
    """How many results there are; `gte`: or more."""

    value: int
    relation: str


class TookMs(Told):
    """Milliseconds in the server."""

    total: float
    encode: float
    search: float
    look_up: float


class Answer(Told):
    """What a search gave, best first."""

    results: list[Result] | list[VideoResult] | list[SequenceResult]
    total: Total
    collection: str
    encoder: str
    encoder_notice: str | None = None
    snapshot: int
    confident: bool | None = None
    partial: list[str] = []
    query_truncated: bool = False
    query_unknown: list[str] = []
    took_ms: TookMs
    next_cursor: str | None = None

    @property
    def moments(self) -> list[Result]:
        """The results, grouped or not or steps of sequences, as one list of moments."""
        return [moment for result in self.results for moment in _moments(result)]


def _moments(result: Found) -> list[Result]:
    if isinstance(result, SequenceResult):
        return [step for step in result.steps if step is not None]
    return result.moments if isinstance(result, VideoResult) else [result]


class Embedded(Told):
    """A vector each, in order."""

    vectors: list[list[float]]
    encoder: str
    encoder_notice: str | None = None
    truncated: list[bool] = []


class Label(Told):
    """A label, how like it the video is, and its share among all that were given."""

    label: str
    score: float
    probability: float


class Tagged(Told):
    """Labels of a video, best first."""

    labels: list[Label]
    encoder: str
    encoder_notice: str | None = None
    snapshot: int
    query_truncated: bool = False
    query_unknown: list[str] = []


class Range(Told):
    """Seconds that stand out."""

    start: float
    end: float
    score: float
    confidence: float | None = None
    confidence_level: str | None = None


class Located(Told):
    """Where texts are in a video."""

    times: list[float]
    scores: list[list[float]]  # of each text, one a time
    ranges: list[list[Range]]  # of each text, the best first
    level: str | None = None
    encoder: str
    encoder_notice: str | None = None
    snapshot: int
    query_truncated: bool = False
    query_unknown: list[str] = []


class Caption(Told):
    """A sentence about some seconds."""

    start: float
    end: float
    text: str
    written_by: str | None = None


class Captioned(Told):
    """What a video shows, in sentences."""

    captions: list[Caption]
    encoder: str
    encoder_notice: str | None = None


class Video(Told):
    """A stored video."""

    video_id: str
    path: str
    paths: list[str] = []
    seconds: float
    zero_s: float = 0.0
    width: int = 0
    height: int = 0
    codec: str = ""
    container: str = ""
    frame_rate: str = ""
    created: str = ""
    size: int = 0
    approximate: bool = False
    rows: dict[str, int] = {}
    metadata: dict[str, Any] = {}


class Videos(Told):
    """Some of the videos of a collection, by path."""

    videos: list[Video]
    total: int
    next_cursor: str | None = None


class Encoder(Told):
    """One encoder of a collection."""

    name: str
    fingerprint: str
    dim: int
    default: bool
    ready: bool
    reason: str | None = None
    snapshot: int | None = None
    rows: dict[str, int] | None = None
    notice: str | None = None


class Collection(Told):
    """A collection and its encoders."""

    name: str
    default: bool
    encoders: list[Encoder]


class Collections(Told):
    """What a server serves."""

    collections: list[Collection]


class Readiness(Told):
    """Whether the server can search, and what it serves."""

    ready: bool
    collections: list[Collection]
