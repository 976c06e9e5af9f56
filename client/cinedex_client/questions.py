"""What a server is asked, and how it is written as JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

Picture = bytes | PathLike[str] | str  # its bytes, its file, or base64 of it: a JPEG, PNG or WebP


class Part(TypedDict, total=False):
    """One thing to look for: exactly one of text, video_id, image, image_url, id and vector."""

    text: str
    video_id: str  # a stored video or library text; all of it, or …
    start: float  # … the seconds from here
    end: float  # … to here
    image: Picture
    image_url: str  # where the server allows its host
    id: str  # a stored row, as results name it
    vector: Sequence[float]
    weight: float  # 1.0; below 0 pushes away


Query = str | Sequence[Part]


class Step(TypedDict):
    """One step of a sequence."""

    query: Query
    absent: NotRequired[bool]  # it is not to happen: A without B


class SearchOptions(TypedDict, total=False):
    """What else a search can be told; docs/http-api.md says what each means."""

    sequence: Sequence[Step] | None  # instead of a query
    within_s: float | None
    min_gap_s: float
    target: Literal["videos", "texts"]
    collection: str | None
    encoder: str | None
    encoder_options: Mapping[str, str | float | bool]
    level: Literal["frame", "clip", "video"] | None
    mode: Literal["visual", "text", "hybrid"] | None  # by vectors, by words, by both
    group_by: Literal["none", "video"] | None
    group_size: int
    filter: Mapping[str, Any] | None
    limit: int
    cursor: str | None
    merge_gap_s: float | None  # None: never
    pad_s: float
    weigh_frames: bool
    diversity: float
    min_score: float | None
    min_confidence: float | Literal["high", "medium", "low"] | None
    exact: bool
    effort: int | None
    include: Sequence[Literal["metadata", "thumbnail", "scores", "explain", "vector"]]


class Search(SearchOptions, total=False):
    """One search of a batch."""

    query: Query | None


class Of(TypedDict, total=False):
    """Which of what is served answers; else the default one."""

    collection: str | None
    encoder: str | None


class Within(Of, total=False):
    """And which seconds of a video, [start, end)."""

    start: float | None
    end: float | None


def body_of(query: Query | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a search."""
    body = {**options}
    if query is not None:
        body["query"] = _query(query)
    if body.get("sequence") is not None:
        body["sequence"] = [{**step, "query": _query(step["query"])} for step in body["sequence"]]
    return body


def _query(query: Query) -> str | list[dict[str, Any]]:
    return query if isinstance(query, str) else [_part(part) for part in query]


def _part(part: Part) -> dict[str, Any]:
    written: dict[str, Any] = {**part}
    if "image" in part:
        written["image"] = base64_of(part["image"])
    if "vector" in part:
        written["vector"] = [float(number) for number in part["vector"]]  # an array's, too
    return written


def base64_of(picture: Picture) -> str:
    """A picture as JSON has it."""
    if isinstance(picture, str):
        return picture
    content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return base64.b64encode(content).decode()


def given(**fields: Any) -> dict[str, Any]:
    """Those that are something."""
    return {name: value for name, value in fields.items() if value is not None}
