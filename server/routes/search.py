"""POST /search."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response
from fastapi.openapi.models import Example

from server.bodies import Route
from server.cursor import FIRST
from server.paging import Page, page_of, texts_of
from server.parameters import none
from server.schemas.errors import errors
from server.schemas.search import SearchAnswer, SearchAsked
from server.searcher import Answer, Searcher, Took
from server.seen import frames_in
from server.service import Service
from server.shown import as_sent
from server.thumbnails import with_thumbnails

EXAMPLES: dict[str, Example] = {
    "a text": {"value": {"query": "a red truck at night"}},
    "videos": {"value": {"query": "a red truck at night", "group_by": "video", "limit": 5}},
    "a text, looked for in some videos": {
        "value": {
            "query": "an aria",
            "filter": {"must": [{"metadata.tags": "opera"}, {"seconds": {"gte": 60}}]},
        }
    },
    "more like a result, and less like a text": {
        "value": {"query": [{"id": "v-…/clip/4000"}, {"text": "night", "weight": -0.5}]}
    },
    "red, then blue within ten seconds": {
        "value": {"sequence": [{"query": "red"}, {"query": "blue"}], "within_s": 10}
    },
    "texts for some seconds of a video": {
        "value": {"query": [{"video_id": "v-…", "start": 4, "end": 9}], "target": "texts"}
    },
}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"], route_class=Route, dependencies=[Depends(none)])

    @routes.post(
        "/search",
        response_model=SearchAnswer,
        responses=errors(400, 403, 404, 409, 410, 413, 415, 422, 429, 503),
        summary="Find moments of videos, or library texts",
    )
    async def search(asked: Annotated[SearchAsked, Body(openapi_examples=EXAMPLES)]) -> Response:
        page = page_of(asked, await frames_in(service, asked))
        work = partial(answered, page=page)
        took, body = await service.ask(
            page.collection, page.encoder, work, texts_of([page.query]), cursor=page.cursor
        )
        service.metrics.took(took)
        return Response(body, media_type="application/json")

    return routes


def answered(searcher: Searcher, page: Page) -> tuple[Took, bytes]:
    """All of it in one thread: to write thousands of results takes seconds, which the event loop has not."""
    answer = found(searcher, page)
    return answer.took, as_sent(answer, page.body)


def found(searcher: Searcher, page: Page) -> Answer:
    """What is on a page, with the addresses of its pictures."""
    here, place = (searcher, FIRST) if page.cursor is None else (searcher.at(page.cursor), page.cursor.place)
    answer = here.answer(page.query, place)
    return with_thumbnails(answer, here) if "thumbnail" in page.query.include else answer
