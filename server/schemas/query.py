"""What is looked for: a text, or parts with weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from server.asked import Strict, refused
from server.schemas.fields import Id, Photo, Seconds, Text, Url, Vector

MAX_PARTS = 16
KINDS_OF_PART = ("text", "video_id", "image", "image_url", "id", "vector")


class PartAsked(Strict):
    """One thing to look for: exactly one of text, video_id, image, image_url, id, vector."""

    text: Text | None = Field(None, description="a text")
    video_id: Id | None = Field(None, description="a stored video or library text: the mean of its rows")
    start: Seconds | None = Field(None, description="with video_id: only rows that reach into [start, end)")
    end: Seconds | None = None
    image: Photo | None = Field(None, description="a picture: base64 of a JPEG, PNG or WebP")
    image_url: Url | None = Field(None, description="the same from a host that the operator allows")
    id: Id | None = Field(None, description="a stored row, as results name it")
    vector: Vector | None = Field(None, description="a vector of this encoder: `dim` numbers")
    weight: float = Field(1.0, ge=-100, le=100, description="above 0 pulls towards it, below pushes away")

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
    def _counts(cls, value: float) -> float:
        if value == 0:
            raise refused("must not be 0")
        return value

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        held = [name for name in KINDS_OF_PART if getattr(self, name) is not None]
        if len(held) != 1:
            raise refused(f"must have exactly one of {', '.join(KINDS_OF_PART)} (has {len(held)})")
        return self


def _text_or_parts(value: object) -> str | None:
    return "<text>" if isinstance(value, str) else "<parts>" if isinstance(value, list) else None


def _pulls(query: str | Sequence[PartAsked]) -> str | Sequence[PartAsked]:
    if not isinstance(query, str) and all(part.weight < 0 for part in query):
        raise refused("must have a part with a weight above 0")
    return query


BesideAsked = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[PartAsked], Field(min_length=1, max_length=MAX_PARTS, fail_fast=True), Tag("<parts>")],
    Discriminator(
        _text_or_parts,
        custom_error_type="refused",
        custom_error_message="must be a string or a list of parts",
    ),
]  # what is looked for beside an uploaded file, which pulls
QueryAsked = Annotated[BesideAsked, AfterValidator(_pulls)]
