"""What is asked and answered about one stored video: its labels, where texts are in it, captions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from server.asked import Strict, refused
from server.schemas.answered import UNKNOWN, Answered
from server.schemas.fields import Id, Seconds, Text

MAX_LABELS = 10_000
MAX_TEMPLATES = 100
MAX_SENTENCES = 100_000  # labels times templates
MAX_TEXTS = 64


def _has_a_place(value: str) -> str:
    if "{}" not in value:
        raise refused("must have {} where the label comes")
    return value


Template = Annotated[Text, AfterValidator(_has_a_place)]


class OfVideo(Strict):
    """A stored video, or some seconds of it."""

    video_id: Id = Field(description="a stored video")
    start: Seconds | None = Field(None, description="only rows that reach into [start, end)")
    end: Seconds | None = None
    collection: str | None = Field(None, max_length=200, description="null: `default`, else the first")
    encoder: str | None = Field(None, max_length=200, description="by its whole name; null: the first")

    @field_validator("end")
    @classmethod
    def _is_behind(cls, value: float, info: ValidationInfo) -> float:
        start = info.data.get("start")
        if start is not None and value <= start:
            raise refused(f"must be above start ({start:g})")
        return value


class TagAsked(OfVideo):
    """What POST /tag is sent."""

    labels: list[Text] = Field(
        fail_fast=True, min_length=1, max_length=MAX_LABELS, description="no two of them alike"
    )
    templates: list[Template] = Field(
        ["a video of {}"],
        fail_fast=True,
        min_length=1,
        max_length=MAX_TEMPLATES,
        description="a label's vector is the mean of these sentences'; [\"{}\"]: the label as it is",
    )
    limit: int | None = Field(None, ge=1, le=MAX_LABELS, description="only so many, the best; null: all")

    @field_validator("labels")
    @classmethod
    def _are_different(cls, value: list[str]) -> list[str]:
        seen: set[str] = set()
        for label in value:
            if label in seen:
                raise refused(f"must be different, and {label[:60]!r} comes twice")
            seen.add(label)
        return value

    @field_validator("templates")
    @classmethod
    def _are_few(cls, value: list[str], info: ValidationInfo) -> list[str]:
        labels = len(info.data.get("labels", ()))
        if labels * len(value) > MAX_SENTENCES:
            raise refused(
                f"make {labels * len(value)} sentences of the labels; {MAX_SENTENCES} at most can be"
            )
        return value


class TagShown(BaseModel):
    """A label, how like it the video is, and its share among all that were given."""

    label: str
    score: float
    probability: float


class TagAnswer(Answered):
    """What POST /tag answers, best first."""

    labels: list[TagShown]
    snapshot: int
    query_truncated: bool
    query_unknown: list[str] = Field(description=UNKNOWN)


class LocateAsked(OfVideo):
    """What POST /locate is sent."""

    texts: list[Text] = Field(fail_fast=True, min_length=1, max_length=MAX_TEXTS)


class RangeShown(BaseModel):
    """Seconds [start, end) that stand out, with the score of the best row in them."""

    start: float
    end: float
    score: float
    confidence: float | None
    confidence_level: Literal["high", "medium", "low", "none"] | None


class LocateAnswer(Answered):
    """What POST /locate answers."""

    times: list[float] = Field(description="when the rows begin that are scored")
    scores: list[list[float]] = Field(description="of each text, one a time")
    ranges: list[list[RangeShown]] = Field(description="of each text, the best first")
    level: Literal["frame", "clip"] = Field(description="which rows these are")
    snapshot: int
    query_truncated: bool
    query_unknown: list[str] = Field(description=UNKNOWN)


class CaptionAsked(OfVideo):
    """What POST /caption is sent."""

    beams: int | None = Field(
        None,
        ge=1,
        le=16,
        description="write anew, weighing so many sentences against each other; null: what is stored, if "
        "anything is, else as with 1",
    )


class CaptionShown(BaseModel):
    """A sentence about some seconds."""

    start: float
    end: float
    text: str
    written_by: str | None = Field(None, description="which model wrote it; null: the store does not say")


class CaptionAnswer(Answered):
    """What POST /caption answers."""

    captions: list[CaptionShown]
