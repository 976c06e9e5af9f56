"""POST /search/upload: a picture or a video as what is looked for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from server import gate
from server.bodies import parsed
from server.decoding import Sent
from server.doubled import Twice
from server.errors import ApiError
from server.paging import page_of, texts_of
from server.parameters import none
from server.refusals import WrongBody
from server.routes.search import answered
from server.schemas.errors import errors
from server.schemas.search import SearchAnswer
from server.schemas.upload import UploadAsked
from server.seen import frames_in
from server.service import Service

log = logging.getLogger(__name__)
MIB = 1 << 20
FILE, REQUEST = "file", "request"
_AS = "#/components/schemas/{model}"
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FILE],
                "properties": {
                    FILE: {
                        "type": "string",
                        "contentMediaType": "application/octet-stream",
                        "description": "a picture (JPEG, PNG, WebP) or a video",
                    },
                    REQUEST: {
                        key: value
                        for key, value in UploadAsked.model_json_schema(ref_template=_AS).items()
                        if key != "$defs"  # which POST /search has in the document
                    },
                },
                "additionalProperties": False,
            },
            "encoding": {REQUEST: {"contentType": "application/json"}},
        }
    },
}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"], dependencies=[Depends(none)])
    most_bytes = int(service.settings.max_body_mb * MIB)  # of the part that is JSON

    @routes.post(
        gate.UPLOAD,
        response_model=SearchAnswer,
        responses=errors(400, 403, 404, 409, 410, 413, 415, 422, 429, 503),
        openapi_extra={"requestBody": BODY},
        summary="Find moments that are like a picture or a video that is sent",
    )
    async def upload(request: Request) -> Response:
        async with form_of(request, most_bytes) as form:
            asked, file = await _request(form, most_bytes), _file(form)
            frames = await frames_in(service, asked, Sent(FILE, file.file))
        page = await to_thread.run_sync(page_of, asked, frames, frames[FILE])  # hashes many MiB
        work = partial(answered, page=page)
        took, body = await service.ask(
            page.collection, page.encoder, work, texts_of([page.query]), cursor=page.cursor
        )
        service.metrics.took(took)
        return Response(body, media_type="application/json")

    return routes


@asynccontextmanager
async def form_of(request: Request, most_bytes: int) -> AsyncIterator[FormData]:
    """The parts of a form, on disk where they are large and gone behind it."""
    try:
        form = await request.form(max_files=2, max_fields=1, max_part_size=most_bytes)
    except OSError as error:
        log.error("an upload cannot be kept error=%s", error)
        raise ApiError(503, "The upload cannot be kept; the log has it by the id.") from error
    except HTTPException as error:
        if error.status_code != 400:
            raise
        why = str(error.detail).rstrip(".")
        raise ApiError(400, f"The body cannot be read as multipart/form-data: {why}.") from error
    try:
        names = [name for name, _ in form.multi_items()]
        if wrong := [name for name in names if name not in (FILE, REQUEST)]:
            raise ApiError(400, f"{wrong[0]!r} is no part of an upload; there are {FILE} and {REQUEST}.")
        if twice := [name for name in (FILE, REQUEST) if names.count(name) > 1]:
            raise ApiError(400, f"{twice[0]} is there more than once.", twice[0])
        yield form
    finally:
        await form.close()


def _file(form: FormData) -> UploadFile:
    file = form.get(FILE)
    if file is None:
        raise ApiError(400, f"{FILE} is missing, or the form ends within it.", FILE)
    if isinstance(file, str):
        raise ApiError(400, f"{FILE} must be sent as a file, with a name.", FILE)
    return file


async def _request(form: FormData, most_bytes: int) -> UploadAsked:
    sent = form.get(REQUEST, "{}")
    text = sent if isinstance(sent, str) else await sent.read(most_bytes + 1)
    if len(text) > most_bytes:
        raise ApiError(413, f"{REQUEST} is larger than {most_bytes} bytes.", REQUEST)
    try:
        data = await parsed(text)
    except Twice as error:
        raise ApiError(400, f"{REQUEST} {error}.", REQUEST) from None
    except (ValueError, RecursionError):
        raise ApiError(400, f"{REQUEST} is not JSON.", REQUEST) from None
    if not isinstance(data, dict):
        raise ApiError(400, f"{REQUEST} must be a JSON object.", REQUEST)
    try:
        return UploadAsked.model_validate(data)
    except ValidationError as error:
        raise WrongBody(UploadAsked, error) from error
