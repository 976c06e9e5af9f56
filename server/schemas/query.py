"""What is looked for: a text, or parts with weights."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from server.asked import Strict, not_built, refused
from server.schemas.fields import Id, Later, Seconds, Text, later

MAX_PARTS = 16
KINDS_OF_PART = ("text", "video_id", "image", "image_url", "id", "vector")


class PartAsked(Strict):
    """One thing to look for: exactly one of text, video_id, image, image_url, id, vector."""

    text: Text | None = Field(None, description="a text")
    video_id: Id | None = Field(None, description="a stored video or library text: the mean of its rows")
    start: Seconds | None = Field(None, description="with video_id: only rows that reach into [start, end)")
    end: Seconds | None = None
    image: Annotated[str | None, Later] = later(None, "base64 of a JPEG, PNG or WebP")
    image_url: Annotated[str | None, Later] = later(None, "a picture, where the operator allows hosts")
    id: Annotated[Id | None, Later] = later(None, "one stored row")
    vector: Annotated[list[float] | None, Later] = later(None, "a vector of this encoder")
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
