"""What is asked of the videos of a collection, and what is told of each."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from server.asked import refused
from server.cursor import MAX_CURSOR
from server.framing import MOST_TARGET
from server.schemas.media import MOST_S, OfCollection, behind
from server.schemas.search import MAX_LIMIT

Level = Literal["frame", "clip", "video"]


class VideosAsked(OfCollection):
    """Which videos."""

    root: str | None = Field(None, min_length=1, max_length=200, description="only those of this root")
    prefix: str | None = Field(None, max_length=4_096, description="only paths that begin so")
    limit: int = Field(100, ge=1, le=1_000, description="videos")
    cursor: str | None = Field(None, max_length=MOST_TARGET, description="next_cursor of an answer")


class Video(BaseModel):
    """A stored video."""

    video_id: str
    path: str = Field(description="the first of paths")
    paths: list[str] = Field(description="every place that holds it, sorted")
    seconds: float = Field(description="how long it is")
    zero_s: float = Field(description="FFmpeg's time of our second 0")
    width: int
    height: int
    codec: str
    container: str
    frame_rate: str = Field(description='pictures a second, a fraction: "30000/1001"')
    created: str = Field(description="when the container says that it was recorded, or empty")
    size: int = Field(description="bytes")
    approximate: bool = Field(description="its times were reckoned from a stated rate")
    rows: dict[str, int] = Field(description="by kind")
    metadata: dict[str, Any]


class VideosAnswer(BaseModel):
    """Some of the videos, by path."""

    videos: list[Video]
    total: int = Field(description="of those that were asked for, on all pages")
    next_cursor: str | None = Field(description="for the next page; null: there is none")


class SimilarAsked(OfCollection):
    """Which seconds of the video, and what is found by them: as of POST /search."""

    start: float | None = Field(None, ge=0, le=MOST_S, description="only what reaches into [start, end)")
    end: float | None = Field(None, gt=0, le=MOST_S)
    level: Level | None = Field(None, description="which rows are searched; video: grouped by video")
    group_by: Literal["none", "video"] | None = Field(None, description="null: none, of level video: video")
    limit: int = Field(10, ge=1, le=MAX_LIMIT, description="results: moments, or videos when grouped")
    cursor: str | None = Field(None, max_length=MAX_CURSOR, description="next_cursor of an answer")

    @field_validator("end")
    @classmethod
    def _is_behind(cls, value: float | None, info: ValidationInfo) -> float | None:
        return behind(value, info.data.get("start"))

    @field_validator("group_by")
    @classmethod
    def _goes_with_level(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "none" and info.data.get("level") == "video":
            raise refused('"none" does not go with level "video"')
        return value
