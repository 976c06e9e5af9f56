"""POST /search."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example

from core.errors import Error, SnapshotError, StoreError
from core.query import Query
from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from server.schemas import ErrorAnswer, SearchAnswer, SearchAsked
from server.searcher import Searcher, Took
from server.shown import as_sent, query_of

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A wrong field, which is named, or one that is not built yet"},
    403: {"model": ErrorAnswer, "description": "A host or an origin that is not allowed"},
    404: {"model": ErrorAnswer, "description": "No such collection, encoder or id"},
    409: {"model": ErrorAnswer, "description": "Encoder and index do not fit, or no such rows"},
    413: {"model": ErrorAnswer, "description": "The body is too large"},
    415: {"model": ErrorAnswer, "description": "The body is not JSON"},
    429: {"model": ErrorAnswer, "description": "Too many requests; Retry-After says when"},
    503: {"model": ErrorAnswer, "description": "Loading, or no snapshot is published"},
    "default": {"model": ErrorAnswer, "description": "Any other error, in the same shape"},
}

Newer = Callable[[Searcher, Error], Searcher | None]  # what answers in place of one that failed so
EXAMPLES: dict[str, Example] = {
    "a text": {"value": {"query": "a red truck at night"}},
    "videos": {"value": {"query": "a red truck at night", "group_by": "video", "limit": 5}},
    "a text, looked for in some videos": {
        "value": {
            "query": "an aria",
            "filter": {"must": [{"metadata.tags": "opera"}, {"seconds": {"gte": 60}}]},
        }
    },
    "texts for some seconds of a video": {
        "value": {"query": [{"video_id": "v-…", "start": 4, "end": 9}], "target": "texts"}
    },
}


def router(library: ServedLibrary, slots: Slots, metrics: Metrics) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"])

    @routes.post(
        "/search",
        response_model=SearchAnswer,
        responses=ERRORS,
        summary="Find moments of videos, or library texts",
    )
    async def search(asked: Annotated[SearchAsked, Body(openapi_examples=EXAMPLES)]) -> Response:
        searcher, query = library.find(asked.collection, asked.encoder), query_of(asked)
        took, body = await slots.run(partial(answered, searcher, query, library.newer), metrics.waited)
        metrics.took(took)
        return Response(body, media_type="application/json")

    return routes


def answered(searcher: Searcher, query: Query, newer: Newer) -> tuple[Took, bytes]:
    """All of it in one thread: to write thousands of results takes seconds, which the event loop has not."""
    try:
        answer = searcher.answer(query)
    except (SnapshotError, StoreError) as error:
        # A short `gc --age-s` takes away what an older snapshot needs; the one that is published answers.
        found = newer(searcher, error)
        if found is None:
            raise
        answer = found.answer(query)
    return answer.took, as_sent(answer)
