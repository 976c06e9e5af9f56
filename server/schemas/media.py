"""What is asked of pictures, files and clips, in the query of an address."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from server.asked import refused

VideoId = Annotated[str, Path(min_length=1, max_length=200, description="of a stored video")]
MOST_S = 1e9  # thirty years; what is longer is no video


class OneCollection(BaseModel):
    """What every address of this kind may say; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    collection: str | None = Field(None, max_length=200, description="one of GET /collections")


class OfCollection(OneCollection):
    """The same, and of which of its encoders."""

    encoder: str | None = Field(None, max_length=200, description="one of the collection's")


class ThumbnailAsked(OfCollection):
    """Which picture."""

    t: float = Field(0.0, ge=0, le=MOST_S, description="the second at which it is shown")
    exact: bool = Field(False, description="decode the picture shown then, instead of a stored one near it")


class ClipAsked(OfCollection):
    """Which seconds."""

    start: float = Field(0.0, ge=0, le=MOST_S, description="the first picture is the one shown then")
    end: float | None = Field(None, gt=0, le=MOST_S, description="of the video, where it is missing")

    @field_validator("end")
    @classmethod
    def _is_behind(cls, value: float | None, info: ValidationInfo) -> float | None:
        return behind(value, info.data.get("start"))


def behind(end: float | None, start: float | None) -> float | None:
    """An end as it is, if it is one."""
    if end is not None and start is not None and end <= start:
        raise refused(f"must be above start ({start:g})")
    return end


def binary(*types: str, description: str) -> dict[str, Any]:
    """An answer of bytes, as OpenAPI has it."""
    schema = {"type": "string", "format": "binary"}
    return {"content": {each: {"schema": schema} for each in types}, "description": description}
