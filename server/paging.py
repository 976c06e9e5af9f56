"""Which page of what: a request that goes on where another one ended."""

from __future__ import annotations

from dataclasses import dataclass

from core.query import Query
from server.cursor import Cursor
from server.errors import ApiError
from server.schemas.search import SearchAsked
from server.shown import body_of, query_of


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for, and of whom. With a cursor they are those of the first page."""

    collection: str | None
    encoder: str | None
    query: Query
    body: str
    cursor: Cursor | None


def page_of(asked: SearchAsked) -> Page:
    """The page that a valid request asks for, or an ApiError."""
    query, body = query_of(asked), body_of(asked)
    if asked.cursor is None:
        return Page(asked.collection, asked.encoder, query, body, None)
    cursor = Cursor.read(asked.cursor)
    if cursor.body != body:
        raise ApiError(400, "cursor: goes with another body; only limit may change.", "cursor")
    return Page(cursor.collection, cursor.encoder, query, body, cursor)
