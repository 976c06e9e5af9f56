"""What POST /search is sent, and what it answers."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.query import Extra
from server.asked import Strict, is_unicode, refused, wrong_at
from server.cursor import MAX_CURSOR
from server.filters import FilterAsked, require_small
from server.schemas.answered import UNKNOWN, Answered
from server.schemas.query import QueryAsked
from server.schemas.sequence import StepAsked, require_fitting

MAX_LIMIT = 1_000
MAX_SECONDS = 1e9
MAX_OPTIONS = 16
MAX_OPTION, MAX_OPTION_TEXT = sys.float_info.max, 256


def _is_confidence(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if is_number or (isinstance(value, str) and value in ("high", "medium", "low")):
        return value
    raise refused('must be a number from 0 to 1, "high", "medium" or "low"')


LeastConfidence = Annotated[
    Annotated[float, Field(ge=0, le=1)] | Literal["high", "medium", "low"], BeforeValidator(_is_confidence)
]


def _are_few(value: Any) -> Any:
    """Before any is looked at, which a length of a dict is told behind."""
    if isinstance(value, dict) and len(value) > MAX_OPTIONS:
        raise refused(f"must have at most {MAX_OPTIONS} options (has {len(value):,})")
    return value


def _is_option(value: Any) -> Any:
    """Before a choice of types is made, whose names would stand in the path of the field."""
    is_number = isinstance(value, int | float) and abs(value) <= MAX_OPTION
    if is_number or (isinstance(value, str) and len(value) <= MAX_OPTION_TEXT):
        return is_unicode(value) if isinstance(value, str) else value
    raise refused(f"must be a finite number, true, false or a string of at most {MAX_OPTION_TEXT} characters")


OptionName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(is_unicode)]
OptionValue = Annotated[
    Annotated[str, Field(max_length=MAX_OPTION_TEXT)] | float | bool, BeforeValidator(_is_option)
]


class SearchAsked(Strict):
    """What POST /search is sent."""

    query: QueryAsked | None = Field(
        None, description="what is looked for: a text, or parts with weights; or else a sequence"
    )
    sequence: list[StepAsked] | None = Field(
        None, fail_fast=True, min_length=2, max_length=8, description="A, then B, in one video; A without B"
    )
    within_s: float | None = Field(
        None, gt=0, le=MAX_SECONDS, description="of a sequence: from the end of a step to the next, at most"
    )
    min_gap_s: float = Field(0.0, ge=0, le=MAX_SECONDS, description="of a sequence: and at least")
    target: Literal["videos", "texts"] = Field("videos", description="moments of videos, or library texts")
    collection: str | None = Field(None, max_length=200, description="null: `default`, else the first")
    encoder: str | None = Field(None, max_length=200, description="by its whole name; null: the first")
    encoder_options: Annotated[dict[OptionName, OptionValue], BeforeValidator(_are_few)] = Field(
        {}, max_length=MAX_OPTIONS, description="an encoder's own; one that has none refuses them"
    )
    level: Literal["frame", "clip", "video"] | None = Field(
        None, description="null: clip if there are clip rows, else frame; video: clip, grouped by video"
    )
    mode: Literal["visual", "text", "hybrid"] | None = Field(
        None, description="vectors, words, both; null: both where there are timed lines, else vectors"
    )
    group_by: Literal["none", "video"] | None = Field(None, description="null: none, of level video: video")
    group_size: int = Field(3, ge=1, le=100, description="moments a video, when grouped")
    filter: Annotated[FilterAsked | None, BeforeValidator(require_small)] = Field(
        None, description="what is looked through: conditions on columns and on seconds"
    )
    limit: int = Field(10, ge=1, le=MAX_LIMIT, description="results: moments, or videos when grouped")
    cursor: str | None = Field(
        None, max_length=MAX_CURSOR, description="next_cursor of an answer, with the same body again"
    )
    merge_gap_s: float | None = Field(
        0.0, ge=0, le=86_400, description="moments nearer than that are one; null: never"
    )
    pad_s: float = Field(0.0, ge=0, le=3_600, description="seconds put before and behind each moment")
    weigh_frames: bool = Field(False, description="order clips by their pictures, weighted by the query")
    diversity: float = Field(
        0.0, ge=0, le=1, description="maximal marginal relevance: 0 only relevance, 1 only difference"
    )
    min_score: float | None = Field(None, description="results below are left out")
    min_confidence: LeastConfidence | None = Field(None, description="results below are left out")
    exact: bool = Field(False, description="compare with every row instead of searching the index")
    effort: int | None = Field(
        None, ge=1, description="lists to probe; null: as many as were found to be enough"
    )
    include: list[Extra] = Field(
        ["metadata", "thumbnail"], max_length=5, fail_fast=True, description="what results carry"
    )

    @field_validator("mode")
    @classmethod
    def _has_words(cls, value: str, info: ValidationInfo) -> str:
        parts = info.data.get("query")
        if value == "text" and isinstance(parts, list) and any(part.text is None for part in parts):
            raise refused('"text" needs a query of texts alone')
        if value == "text" and isinstance(parts, list) and any(part.weight < 0 for part in parts):
            raise refused('"text" needs weights above 0: words cannot push away')
        return value

    @field_validator("diversity")
    @classmethod
    def _has_vectors(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("mode") == "text":
            raise refused('goes by vectors, which mode "text" does without')
        return value

    @field_validator("min_gap_s")
    @classmethod
    def _leaves_room(cls, value: float, info: ValidationInfo) -> float:
        most = info.data.get("within_s")
        if most is not None and value > most:
            raise refused(f"must be at most within_s ({most:g})")
        return value

    @model_validator(mode="after")
    def _is_one_search(self) -> Self:
        if self.query is None and self.sequence is None:
            raise wrong_at("query", "a text, parts, or a sequence in its place must be there")
        if self.query is not None and self.sequence is not None:
            raise wrong_at("sequence", "excludes a query beside it")
        require_fitting({name: getattr(self, name) for name in self.model_fields_set})
        return self

    @field_validator("group_by")
    @classmethod
    def _goes_with_level(cls, value: str, info: ValidationInfo) -> str:
        if value == "none" and info.data.get("level") == "video":
            raise refused('"none" does not go with level "video"')
        return value


class Best(BaseModel):
    """The second to show."""

    t: float
    thumbnail: str | None = None


class RowShown(BaseModel):
    """A row of a moment."""

    id: str
    start: float
    end: float
    score: float


class Explained(BaseModel):
    """How a result came to its place."""

    ranks: dict[str, int] = Field(description="its place by vectors (`visual`), `lines`, `texts`, `names`")
    fused: float | None = Field(description="the sum of 1 / (60 + rank), where words were looked for")
    weighed: float | None = Field(description="what its pictures say, with weigh_frames")
    merged: int = Field(description="rows that are told as this one; 0: found by words alone")
    rows: list[RowShown] = Field(description="the best rows within it that were looked at, 16 at most")


class Result(BaseModel):
    """A moment of a video, or a library text."""

    id: str = Field(description="of the moment's best row")
    video_id: str
    path: str
    paths: list[str]
    start: float
    end: float
    score: float | None = Field(description="inner product of query and row")
    confidence: float | None = None
    confidence_level: Literal["high", "medium", "low", "none"] | None = None
    best: Best | None
    matched_on: list[str]
    approximate: bool = Field(False, description="its times were reckoned from a stated rate")
    text: str | None
    written_by: str | None = Field(None, description="which model wrote `text`, where that is a caption")
    metadata: dict[str, Any]
    scores: list[float] = Field([], description="with each part of the query; `include` asks for it")
    explain: Explained | None = Field(None, description="how it came to its place; `include` asks for it")
    vector: list[float] = Field([], description="of the best row; `include` asks for it")


class SequenceResult(BaseModel):
    """One row for each step, in order of time; null for a step that is absent."""

    video_id: str
    path: str
    paths: list[str]
    start: float
    end: float
    score: float = Field(description="the mean of the steps' scores")
    confidence: float | None = Field(None, description="the least of the steps'")
    confidence_level: Literal["high", "medium", "low", "none"] | None = None
    metadata: dict[str, Any]
    steps: list[Result | None]


class VideoResult(BaseModel):
    """A video with its best moments."""

    video_id: str
    path: str
    paths: list[str]
    score: float | None
    confidence: float | None = None
    confidence_level: Literal["high", "medium", "low", "none"] | None = None
    metadata: dict[str, Any]
    moments: list[Result]


class Total(BaseModel):
    """Results found in the rows that were looked at."""

    value: int
    relation: Literal["eq", "gte"]


class TookMs(BaseModel):
    """Milliseconds in the server, without waiting for a free slot."""

    total: float
    encode: float
    search: float
    look_up: float


class SearchAnswer(Answered):
    """What POST /search answers."""

    results: list[Result] | list[VideoResult] | list[SequenceResult]
    total: Total
    collection: str
    snapshot: int
    confident: bool | None = None
    partial: list[str] = Field([])
    query_truncated: bool
    query_unknown: list[str] = Field(description=UNKNOWN)
    took_ms: TookMs
    next_cursor: str | None = None
