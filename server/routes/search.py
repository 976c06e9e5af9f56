"""POST /search."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from server.schemas import ErrorAnswer, SearchAnswer, SearchAsked
from server.shown import query_of, shown

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

EXAMPLES: dict[str, Example] = {
    "a text": {"value": {"query": "a red truck at night"}},
    "videos": {"value": {"query": "a red truck at night", "group_by": "video", "limit": 5}},
    "texts for some seconds of a video": {
        "value": {"query": [{"video_id": "v-…", "start": 4, "end": 9}], "target": "texts"}
    },
}


def router(library: ServedLibrary, slots: Slots, metrics: Metrics) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"])

    @routes.post("/search", responses=ERRORS, summary="Find moments of videos, or library texts")
    async def search(asked: Annotated[SearchAsked, Body(openapi_examples=EXAMPLES)]) -> SearchAnswer:
        searcher = library.find(asked.collection, asked.encoder)
        answer = await slots.run(partial(searcher.answer, query_of(asked)), metrics.waited)
        metrics.took(answer.took)
        return shown(answer)

    return routes
