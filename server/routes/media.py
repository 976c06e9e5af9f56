"""Pictures, files and clips of stored videos."""

from __future__ import annotations

from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from core.files import hash_bytes
from core.types import canonical
from server import ranged
from server.clips import OpenClip
from server.errors import ApiError
from server.media_types import media_type
from server.opened import Opened, opened
from server.parameters import each_once
from server.schemas.errors import errors
from server.schemas.media import ClipAsked, OfCollection, ThumbnailAsked, VideoId, binary
from server.service import Service, call_isolated
from server.thumbnails import nearest

_FOR_A_DAY = "private, max-age=86400"
_ASK_FIRST = "private, no-cache"  # whether it is there still
NOTHING_NEW: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already"}}
AS_JPEG: dict[int | str, dict[str, Any]] = {200: binary("image/jpeg", description="The picture")}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["media"], dependencies=[Depends(each_once)])

    @routes.get(
        "/thumbnail/{video_id}",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 422, 429, 503) | AS_JPEG | NOTHING_NEW,
        summary="A picture of a stored video",
    )
    async def thumbnail(
        request: Request, video_id: VideoId, asked: Annotated[ThumbnailAsked, Query()]
    ) -> Response:
        if asked.exact:
            return _picture(request, await decoded(service, video_id, asked))
        work = partial(nearest, video_id=video_id, t=asked.t)
        return _picture(
            request, await service.ask(asked.collection, asked.encoder, work, slots=service.files)
        )

    @routes.get(
        "/media/{video_id}",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 416, 429, 503) | _in_pieces("video/*") | NOTHING_NEW,
        summary="The file of a stored video, or a range of it",
    )
    async def media(request: Request, video_id: VideoId, asked: Annotated[OfCollection, Query()]) -> Response:
        found = await _opened(service, video_id, asked)
        kind = media_type(found.info.facts.container, found.file.path.suffix)
        tag = f'"{found.info.id}"'
        return ranged.response(request, found.file, ranged.Kind(kind, tag, _ASK_FIRST), service.files.crew)

    @routes.get(
        "/clip/{video_id}",
        response_class=Response,
        responses=errors(400, 403, 404, 409, 413, 416, 422, 429, 503) | _in_pieces("video/mp4") | NOTHING_NEW,
        summary="Some seconds of a stored video, as an MP4 that every browser plays",
    )
    async def clip(request: Request, video_id: VideoId, asked: Annotated[ClipAsked, Query()]) -> Response:
        found, etag = await cut(service, video_id, asked)
        kind = ranged.Kind("video/mp4", etag, _ASK_FIRST)
        return ranged.response(request, found, kind, service.files.crew)

    routes.head("/media/{video_id}", include_in_schema=False)(media)
    routes.head("/clip/{video_id}", include_in_schema=False)(clip)
    return routes


async def decoded(service: Service, video_id: str, asked: ThumbnailAsked) -> bytes:
    """The picture that is shown at a second, as a JPEG."""
    from extractor.media.cut import still  # brings torch

    with await _opened(service, video_id, asked) as found:
        picture = await service.isolated(found.name, still, found.file.path, asked.t, found.look)
        await service.files.run(found.require_same, service.metrics.waited, goes_on=True)
        return picture


async def cut(service: Service, video_id: str, asked: ClipAsked) -> tuple[OpenClip, str]:
    """A clip to be sent, and its tag."""
    with await _opened(service, video_id, asked) as found:
        end = _end(found, asked, service.settings.max_clip_seconds)
        key = hash_bytes(canonical([video_id, found.file.place.stamp, asked.start, end]).encode())
        if clip := service.clips.get(key):
            return clip, f'"{key}"'
        make = partial(_make, service, found, asked.start, end)
        made = partial(service.clips.made, key, make)
        with service.decoding.place():
            async with service.clips.turn(key):
                clip = service.clips.get(key)
                if clip is None:
                    clip = await service.decoding.work(made, service.metrics.waited)
                return clip, f'"{key}"'


def _make(service: Service, found: Opened, start: float, end: float, to: Path) -> None:
    from extractor.media.cut import cut

    call_isolated(service.settings, found.name, cut, found.file.path, start, end, to)
    found.require_same()


async def _opened(service: Service, video_id: str, asked: OfCollection) -> Opened:
    work = partial(opened, video_id=video_id)
    return await service.ask(asked.collection, asked.encoder, work, slots=service.files)


def _end(found: Opened, asked: ClipAsked, most_s: float) -> float:
    """Where a clip ends: with the video, at the latest."""
    seconds = found.info.facts.seconds
    if seconds and asked.start >= seconds:
        raise ApiError(400, f"start: the video ends at {seconds:g} s.", "start")
    end = min(asked.end or inf, seconds or inf)
    end = asked.start + most_s if end == inf else end
    if end - asked.start > most_s:
        message = f"end: the clip would be {end - asked.start:g} s long; at most {most_s:g} s are cut."
        raise ApiError(413, message, "end")
    return end


def _picture(request: Request, picture: bytes) -> Response:
    etag = f'"{hash_bytes(picture)}"'
    headers = {"ETag": etag, "Cache-Control": _FOR_A_DAY}
    if ranged.is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)


def _in_pieces(kind: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: binary(kind, description="All of it"),
        206: binary(kind, description="The range of it that was asked for"),
    }
