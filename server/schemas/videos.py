"""What is asked of the videos of a collection, and what is told of each."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from server.schemas.media import OfCollection


class VideosAsked(OfCollection):
    """Which videos."""

    root: str | None = Field(None, min_length=1, max_length=200, description="only those of this root")
    prefix: str | None = Field(None, max_length=4_096, description="only paths that begin so")
    limit: int = Field(100, ge=1, le=1_000, description="videos")
    cursor: str | None = Field(None, max_length=16_384, description="next_cursor of an answer")


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
