"""What is like a stored video, or some seconds of it."""

from __future__ import annotations

from core.types import Kind
from server.paging import Page, page_of
from server.routes.search import answered
from server.schemas.search import SearchAsked
from server.schemas.videos import SimilarAsked
from server.searcher import Searcher, Took
from server.stored import Named


def page_like(video_id: str, asked: SimilarAsked) -> Page:
    """The page of POST /search that answers it; or an ApiError."""
    part = {"video_id": video_id, "start": asked.start, "end": asked.end}
    others = asked.model_dump(exclude={"start", "end"})
    return page_of(SearchAsked.model_validate({"query": [part], **others}))


def similar(searcher: Searcher, page: Page) -> tuple[Took, bytes]:
    """What is on that page."""
    (part,), kind = page.query.parts, page.query.kind
    # What is wrong with the video is told in the words of its own address.
    kinds: tuple[Kind, ...] = ("frame", "clip", "text") if kind == "frame" else ("clip", "frame", "text")
    here = searcher if page.cursor is None else searcher.at(page.cursor)
    Named(part.source, part.start, part.end).rows(here.view, *kinds)
    return answered(searcher, page)
