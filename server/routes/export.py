"""POST /export."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example
from fastapi.responses import StreamingResponse

from server.answering import answered
from server.exports.written import Export, title_of, written
from server.schemas.errors import errors
from server.schemas.export import ExportAsked
from server.schemas.media import binary
from server.service import Service
from server.shown import query_of

TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "edl": "text/plain; charset=utf-8"}
AS_FILE: dict[int | str, dict[str, Any]] = {
    200: binary("application/json", "text/csv", "text/plain", description="The file")
}
EXAMPLES: dict[str, Example] = {
    "for an editor": {
        "value": {"search": {"query": "a red truck"}, "format": "edl", "media_prefix": "/Volumes/media"}
    },
    "for a spreadsheet": {"value": {"search": {"query": "a red truck", "limit": 100}, "format": "csv"}},
}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"])

    @routes.post(
        "/export",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 413, 415, 429, 503) | AS_FILE,
        summary="What a search finds, as a file: JSON, CSV or an edit decision list",
    )
    async def export(asked: Annotated[ExportAsked, Body(openapi_examples=EXAMPLES)]) -> StreamingResponse:
        search, rate = asked.search, Fraction(asked.frame_rate) if asked.frame_rate else None
        query = query_of(search)
        how = Export(asked.format, asked.media_prefix, rate, title_of(query))
        make = partial(written, export=how)
        took, pieces = await service.ask(
            search.collection, search.encoder, partial(answered, query=query, make=make)
        )
        service.metrics.took(took)
        return _as_file(pieces, how)

    return routes


def _as_file(pieces: Iterator[bytes], how: Export) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{how.file_name}"'}
    return StreamingResponse(pieces, media_type=TYPES[how.format], headers=headers)
