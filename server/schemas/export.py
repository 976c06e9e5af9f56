"""What POST /export is sent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from server.asked import Strict, refused
from server.schemas.fields import MediaPrefix, Rate
from server.schemas.search import SearchAsked


class ExportAsked(Strict):
    """A search, and as what its results are wanted."""

    search: SearchAsked = Field(description="a body of POST /search")
    format: Literal["json", "csv", "edl"]
    media_prefix: MediaPrefix = Field("", description="put before every path, as /Volumes/media or D:\\media")
    frame_rate: Rate | None = Field(
        None, description="of an EDL's record timecodes; null: what most of its files have"
    )

    @field_validator("format")
    @classmethod
    def _has_seconds(cls, value: str, info: ValidationInfo) -> str:
        search = info.data.get("search")
        if value == "edl" and search is not None and search.target == "texts":
            raise refused('"edl" lists seconds of videos, and search.target "texts" finds texts')
        return value

    @field_validator("frame_rate")
    @classmethod
    def _is_of_an_edl(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("format") not in ("edl", None):
            raise refused('goes with format "edl" alone')
        return value
