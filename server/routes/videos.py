"""The videos of a collection."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from server.schemas.errors import errors
from server.schemas.media import OfCollection, VideoId
from server.schemas.videos import Video, VideosAnswer, VideosAsked
from server.service import Service
from server.videos import one, some


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["videos"])

    @routes.get("/videos", responses=errors(400, 403, 404, 409, 429, 503), summary="Stored videos, by path")
    async def videos(asked: Annotated[VideosAsked, Query()]) -> VideosAnswer:
        return await service.ask(asked.collection, asked.encoder, partial(some, asked=asked))

    @routes.get(
        "/videos/{video_id}",
        responses=errors(400, 403, 404, 409, 429, 503),
        summary="What is known of a stored video",
    )
    async def video(video_id: VideoId, asked: Annotated[OfCollection, Query()]) -> Video:
        return await service.ask(asked.collection, asked.encoder, partial(one, video_id=video_id))

    return routes
