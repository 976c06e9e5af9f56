"""What POST /search is sent, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator

from server.asked import Strict, is_unicode, refused
from server.filters import FilterAsked, require_small
from server.schemas.fields import Later, later
from server.schemas.query import QueryAsked, StepAsked

MAX_LIMIT = 1_000


def _is_confidence(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if is_number or (isinstance(value, str) and value in ("high", "medium", "low")):
        return value
    raise refused('must be a number from 0 to 1, "high", "medium" or "low"')


LeastConfidence = Annotated[
    Annotated[float, Field(ge=0, le=1)] | Literal["high", "medium", "low"], BeforeValidator(_is_confidence)
]
OptionName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(is_unicode)]
OptionValue = Annotated[str, Field(max_length=256), AfterValidator(is_unicode)] | float | bool


class SearchAsked(Strict):
    """What POST /search is sent."""

    query: QueryAsked = Field(description="what is looked for: a text, or parts with weights")
    sequence: Annotated[list[StepAsked] | None, Later] = later(
        None, "A, then B, in one video; A without B", min_length=2, max_length=8
    )
    within_s: Annotated[float | None, Later] = later(None, "of a sequence", gt=0)
    min_gap_s: Annotated[float, Later] = later(0.0, "of a sequence", ge=0)
    target: Literal["videos", "texts"] = Field("videos", description="moments of videos, or library texts")
    collection: str | None = Field(None, max_length=200, description="null: `default`, else the first")
    encoder: str | None = Field(None, max_length=200, description="by its whole name; null: the first")
    encoder_options: dict[OptionName, OptionValue] = Field(
        {}, max_length=16, description="an encoder's own; one that has none refuses them"
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
    cursor: Annotated[str | None, Later] = later(None, "next_cursor of an answer", max_length=4096)
    merge_gap_s: float | None = Field(
        0.0, ge=0, le=86_400, description="moments nearer than that are one; null: never"
    )
    pad_s: float = Field(0.0, ge=0, le=3_600, description="seconds put before and behind each moment")
    weigh_frames: bool = Field(False, description="order clips by their pictures, weighted by the query")
    diversity: Annotated[float, Later] = later(0.0, "maximal marginal relevance", ge=0, le=1)
    min_score: float | None = Field(None, description="results below are left out")
    min_confidence: LeastConfidence | None = Field(None, description="results below are left out")
    exact: bool = Field(False, description="compare with every row instead of searching the index")
    effort: int | None = Field(
        None, ge=1, description="lists to probe; null: as many as were found to be enough"
    )
    include: Annotated[list[Literal["metadata", "thumbnail", "scores", "explain", "vector"]], Later] = later(
        ["metadata", "thumbnail"], "what results carry"
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
    metadata: dict[str, Any]


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


class SearchAnswer(BaseModel):
    """What POST /search answers."""

    results: list[Result] | list[VideoResult]
    total: Total
    collection: str
    encoder: str
    snapshot: int
    confident: bool | None = None
    partial: list[str] = []
    query_truncated: bool
    took_ms: TookMs
    next_cursor: str | None = None
