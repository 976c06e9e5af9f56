"""What is like a stored video, or some seconds of it."""

from __future__ import annotations

from core.query import Part, Query
from core.types import Kind
from server.answering import answered
from server.schemas.videos import SimilarAsked
from server.searcher import Searcher, Took
from server.shown import as_sent
from server.stored import Named


def similar(searcher: Searcher, video_id: str, asked: SimilarAsked) -> tuple[Took, bytes]:
    """As POST /search answers a part of that video."""
    # What is wrong with the video is told in the words of this address.
    Named(video_id, asked.start, asked.end).rows(searcher.view, *_kinds(asked))
    query = Query(
        (Part(source=video_id, start=asked.start, end=asked.end),),
        kind=None if asked.level == "video" else asked.level,
        limit=asked.limit,
        by_video="video" in (asked.level, asked.group_by),
    )
    return answered(searcher, query, as_sent)


def _kinds(asked: SimilarAsked) -> tuple[Kind, ...]:
    return ("frame", "clip", "text") if asked.level == "frame" else ("clip", "frame", "text")
