"""Pictures, files and clips of stored videos."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from core.files import hash_bytes
from server import ranged
from server.media_types import media_type
from server.schemas.errors import errors
from server.schemas.media import OfCollection, ThumbnailAsked, VideoId, binary
from server.service import Service
from server.thumbnails import nearest, opened

_FOR_A_DAY = "private, max-age=86400"
_ASK_FIRST = "private, no-cache"  # whether it is there still
NOTHING_NEW: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already"}}
AS_JPEG: dict[int | str, dict[str, Any]] = {200: binary("image/jpeg", description="The picture")}
AS_FILE: dict[int | str, dict[str, Any]] = {
    200: binary("video/*", description="The whole file"),
    206: binary("video/*", description="The range of it that was asked for"),
}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["media"])

    @routes.get(
        "/thumbnail/{video_id}",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 422, 429, 503) | AS_JPEG | NOTHING_NEW,
        summary="A picture of a stored video",
    )
    async def thumbnail(
        request: Request, video_id: VideoId, asked: Annotated[ThumbnailAsked, Query()]
    ) -> Response:
        work = partial(nearest, video_id=video_id, t=asked.t)
        picture = await service.ask(asked.collection, asked.encoder, work)
        return _picture(request, picture)

    @routes.get(
        "/media/{video_id}",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 416, 429, 503) | AS_FILE | NOTHING_NEW,
        summary="The file of a stored video, or a range of it",
    )
    async def media(request: Request, video_id: VideoId, asked: Annotated[OfCollection, Query()]) -> Response:
        work = partial(opened, video_id=video_id)
        info, file = await service.ask(asked.collection, asked.encoder, work)
        kind = ranged.Kind(media_type(info.facts.container, file.path.suffix), f'"{info.id}"', _ASK_FIRST)
        return ranged.answer(request, file, kind)

    routes.head("/media/{video_id}", include_in_schema=False)(media)
    return routes


def _picture(request: Request, picture: bytes) -> Response:
    etag = f'"{hash_bytes(picture)}"'
    headers = {"ETag": etag, "Cache-Control": _FOR_A_DAY}
    if ranged.is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)
