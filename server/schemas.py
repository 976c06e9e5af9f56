"""Requests and answers as docs/http-api.md has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from server.asked import Strict, is_unicode, not_built, refused
from server.filters import FilterAsked, require_small

MAX_TEXT = 2_000
MAX_PARTS = 16
MAX_LIMIT = 1_000


def _is_text(value: str) -> str:
    if not value.strip():
        raise refused("must be a text, not only white space")
    return is_unicode(value)


def _later(default: Any, meaning: str, **limits: Any) -> Any:
    """A field of the contract that is not built: only its default may be sent."""
    return Field(default, description=f"{meaning} (not built yet: 400)", validate_default=False, **limits)


def _only_default(value: Any) -> Any:
    raise not_built()


def _is_confidence(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if is_number or (isinstance(value, str) and value in ("high", "medium", "low")):
        return value
    raise refused('must be a number from 0 to 1, "high", "medium" or "low"')


Later = BeforeValidator(_only_default)
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_is_text)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(ge=0)]
LeastConfidence = Annotated[
    Annotated[float, Field(ge=0, le=1)] | Literal["high", "medium", "low"], BeforeValidator(_is_confidence)
]
OptionValue = str | float | bool
KINDS_OF_PART = ("text", "video_id", "image", "image_url", "id", "vector")


class PartAsked(Strict):
    """One thing to look for: exactly one of text, video_id, image, image_url, id, vector."""

    text: Text | None = Field(None, description="a text")
    video_id: Id | None = Field(None, description="a stored video or library text: the mean of its rows")
    start: Seconds | None = Field(None, description="with video_id: only rows that reach into [start, end)")
    end: Seconds | None = None
    image: Annotated[str | None, Later] = _later(None, "base64 of a JPEG, PNG or WebP")
    image_url: Annotated[str | None, Later] = _later(None, "a picture, where the operator allows hosts")
    id: Annotated[Id | None, Later] = _later(None, "one stored row")
    vector: Annotated[list[float] | None, Later] = _later(None, "a vector of this encoder")
    weight: float = Field(1.0, ge=-100, le=100, description="above 0 pulls; below 0 is not built yet")

    @field_validator("start", "end")
    @classmethod
    def _is_in_a_video(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("video_id") is None:
            raise refused("needs a video_id beside it")
        start = info.data.get("start")
        if info.field_name == "end" and start is not None and value <= start:
            raise refused(f"must be above start ({start:g})")
        return value

    @field_validator("weight")
    @classmethod
    def _pulls(cls, value: float) -> float:
        if value == 0:
            raise refused("must not be 0")
        if value < 0:
            raise not_built("below 0 is")
        return value

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        held = [name for name in KINDS_OF_PART if getattr(self, name) is not None]
        if len(held) != 1:
            raise refused(f"must have exactly one of {', '.join(KINDS_OF_PART)} (has {len(held)})")
        return self


def _text_or_parts(value: object) -> str | None:
    return "<text>" if isinstance(value, str) else "<parts>" if isinstance(value, list) else None


QueryAsked = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[PartAsked], Field(min_length=1, max_length=MAX_PARTS), Tag("<parts>")],
    Discriminator(
        _text_or_parts,
        custom_error_type="refused",
        custom_error_message="must be a string or a list of parts",
    ),
]


class StepAsked(Strict):
    """One step of a sequence."""

    query: QueryAsked
    absent: bool = Field(False, description="A without B")


class SearchAsked(Strict):
    """What POST /search is sent."""

    query: QueryAsked = Field(description="what is looked for: a text, or parts with weights")
    sequence: Annotated[list[StepAsked] | None, Later] = _later(
        None, "A, then B, in one video; A without B", min_length=2, max_length=8
    )
    within_s: Annotated[float | None, Later] = _later(None, "of a sequence", gt=0)
    min_gap_s: Annotated[float, Later] = _later(0.0, "of a sequence", ge=0)
    target: Literal["videos", "texts"] = Field("videos", description="moments of videos, or library texts")
    collection: str | None = Field(None, max_length=200, description="null: `default`, else the first")
    encoder: str | None = Field(None, max_length=200, description="by its whole name; null: the first")
    encoder_options: Annotated[dict[str, OptionValue], Later] = _later({}, "an encoder's own")
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
    cursor: Annotated[str | None, Later] = _later(None, "next_cursor of an answer", max_length=4096)
    merge_gap_s: float | None = Field(
        0.0, ge=0, le=86_400, description="moments nearer than that are one; null: never"
    )
    pad_s: float = Field(0.0, ge=0, le=3_600, description="seconds put before and behind each moment")
    weigh_frames: bool = Field(False, description="order clips by their pictures, weighted by the query")
    diversity: Annotated[float, Later] = _later(0.0, "maximal marginal relevance", ge=0, le=1)
    min_score: float | None = Field(None, description="results below are left out")
    min_confidence: LeastConfidence | None = Field(None, description="results below are left out")
    exact: bool = Field(False, description="compare with every row instead of searching the index")
    effort: int | None = Field(
        None, ge=1, description="lists to probe; null: as many as were found to be enough"
    )
    include: Annotated[list[Literal["metadata", "thumbnail", "scores", "explain", "vector"]], Later] = _later(
        ["metadata", "thumbnail"], "what results carry"
    )

    @field_validator("mode")
    @classmethod
    def _has_words(cls, value: str, info: ValidationInfo) -> str:
        parts = info.data.get("query")
        if value == "text" and isinstance(parts, list) and any(part.text is None for part in parts):
            raise refused('"text" needs a query of texts alone')
        return value

    @field_validator("group_by")
    @classmethod
    def _goes_with_level(cls, value: str, info: ValidationInfo) -> str:
        if value == "none" and info.data.get("level") == "video":
            raise refused('"none" does not go with level "video"')
        return value


class ErrorBody(BaseModel):
    """What went wrong."""

    type: str = Field(description="for programs: one of the contract's list")
    message: str = Field(description="one sentence for people")
    field: str | None = Field(description="the path within the body, or a parameter's name")


class ErrorAnswer(BaseModel):
    """Every error has this shape."""

    error: ErrorBody
    request_id: str


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


class EncoderShown(BaseModel):
    """One encoder of a collection as it is served now."""

    name: str
    fingerprint: str
    dim: int
    default: bool
    ready: bool
    reason: str | None
    snapshot: int | None
    rows: dict[str, int] | None


class CollectionShown(BaseModel):
    """A collection and its encoders, the default one first."""

    name: str
    default: bool
    encoders: list[EncoderShown]


class CollectionsAnswer(BaseModel):
    """What GET /collections answers."""

    collections: list[CollectionShown]


class ReadyAnswer(BaseModel):
    """What GET /readyz answers, with 200 and with 503."""

    ready: bool
    collections: list[CollectionShown]


class HealthAnswer(BaseModel):
    """What GET /healthz answers."""

    status: Literal["ok"] = "ok"
