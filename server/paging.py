"""Which page of what: a request that goes on where another one ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from core.query import Frames, Part, Query
from server.cursor import Cursor
from server.errors import ApiError
from server.schemas.search import SearchAsked
from server.shown import NOTHING, body_of, query_of


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for, and of whom. With a cursor they are those of the first page."""

    collection: str | None
    encoder: str | None
    query: Query
    body: str
    cursor: Cursor | None


def names_of(asked: SearchAsked) -> tuple[str | None, str | None]:
    """The collection and the encoder that answer."""
    if asked.cursor is None:
        return asked.collection, asked.encoder
    cursor = Cursor.read(asked.cursor)
    return cursor.collection, cursor.encoder


def page_of(asked: SearchAsked, frames: Mapping[str, Frames] = NOTHING, file: Frames | None = None) -> Page:
    """The page that a valid request asks for, or an ApiError. file: what it is sent with."""
    query, sent = query_of(asked, frames), ""
    if file is not None:
        query = replace(query, parts=(Part(frames=file, at="file"), *query.parts))
        sent = blake2b(np.ascontiguousarray(file.pixels).data, digest_size=16).hexdigest()
    body = body_of(asked, sent)
    if asked.cursor is None:
        return Page(asked.collection, asked.encoder, query, body, None)
    cursor = Cursor.read(asked.cursor)
    if cursor.body != body or not _is_of(cursor, asked):
        raise ApiError(400, "cursor: goes with another body; only limit may change.", "cursor")
    return Page(cursor.collection, cursor.encoder, query, body, cursor)


def _is_of(cursor: Cursor, asked: SearchAsked) -> bool:
    """Whether it is of whom is asked; who names nobody is answered by its collection and encoder. A store
    may be called as its folder, and may have been the first of its encoder since."""
    encoders = (None, cursor.encoder, cursor.store)
    return asked.collection in (None, cursor.collection) and asked.encoder in encoders


def texts_of(queries: Iterable[Query]) -> list[str]:
    """All that are to be encoded, each once."""
    every = (part.text for query in queries for parts in _parts(query) for part in parts if part.text)
    return [*dict.fromkeys(every)]


def _parts(query: Query) -> list[Sequence[Part]]:
    if query.mode == "text":
        return []  # by words alone
    return [step.parts for step in query.steps] if query.steps else [query.parts]
