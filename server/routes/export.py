"""POST /export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response
from fastapi.openapi.models import Example
from fastapi.responses import StreamingResponse

from core.errors import UsageError
from server.bodies import Route
from server.errors import ApiError
from server.exports.written import Export, written
from server.paging import Page, page_of, texts_of
from server.parameters import none
from server.routes.search import found
from server.schemas.errors import errors
from server.schemas.export import ExportAsked
from server.schemas.media import binary
from server.searcher import Searcher, Took
from server.seen import frames_in
from server.service import Service

TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "edl": "text/plain; charset=utf-8"}
_AS_ANSWER = {
    "schema": {"$ref": "#/components/schemas/SearchAnswer"}
}  # which POST /search has in the document
AS_FILE: dict[int | str, dict[str, Any]] = {200: binary("text/csv", "text/plain", description="The file")}
AS_FILE[200]["content"]["application/json"] = _AS_ANSWER
EXAMPLES: dict[str, Example] = {
    "for an editor": {
        "value": {"search": {"query": "a red truck"}, "format": "edl", "media_prefix": "/Volumes/media"}
    },
    "for a spreadsheet": {"value": {"search": {"query": "a red truck", "limit": 100}, "format": "csv"}},
}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"], route_class=Route, dependencies=[Depends(none)])

    @routes.post(
        "/export",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 410, 413, 415, 422, 429, 503) | AS_FILE,
        summary="What a search finds, as a file: JSON, CSV or an edit decision list",
    )
    async def export(asked: Annotated[ExportAsked, Body(openapi_examples=EXAMPLES)]) -> StreamingResponse:
        with _within_search():
            page = page_of(asked.search, await frames_in(service, asked.search))
            how = Export(asked.format, asked.media_prefix, Fraction(asked.frame_rate or 0) or None)
            work = partial(_begun, page=page, how=how)
            took, pieces = await service.ask(
                page.collection, page.encoder, work, texts_of([page.query]), cursor=page.cursor
            )
        service.metrics.took(took)
        headers = {"Content-Disposition": f'attachment; filename="{how.file_name(page.query)}"'}
        return StreamingResponse(pieces, media_type=TYPES[how.format], headers=headers)

    return routes


def _begun(searcher: Searcher, page: Page, how: Export) -> tuple[Took, Iterator[bytes]]:
    answer = found(searcher, page)
    return answer.took, written(answer, how, page.body)


@contextmanager
def _within_search() -> Iterator[None]:
    """What is wrong with a search is told of where it stands in this body."""
    try:
        yield
    except UsageError as error:
        raise ApiError(error.http_status, str(error), error.field).within("search") from error
    except ApiError as error:
        raise error.within("search") from error
