"""The videos of a collection."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from server.parameters import each_once
from server.schemas.errors import errors
from server.schemas.media import OfCollection, OneCollection, VideoId
from server.schemas.search import SearchAnswer
from server.schemas.videos import SimilarAsked, Video, VideosAnswer, VideosAsked
from server.service import Service
from server.similar import page_like, similar
from server.videos import one, some


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["videos"], dependencies=[Depends(each_once)])

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

    @routes.get(
        "/videos/{video_id}/similar",
        response_model=SearchAnswer,
        responses=errors(400, 403, 404, 409, 410, 429, 503),
        summary="What is like a stored video, or some seconds of it",
    )
    async def like_it(video_id: VideoId, asked: Annotated[SimilarAsked, Query()]) -> Response:
        page = page_like(video_id, asked)
        work = partial(similar, page=page)
        took, body = await service.ask(page.collection, page.encoder, work, cursor=page.cursor)
        service.metrics.took(took)
        return Response(body, media_type="application/json")

    @routes.delete(
        "/videos/{video_id}",
        status_code=204,
        responses=errors(400, 403, 404, 429, 503),
        summary="Take a video or a text out of every answer, wherever it turns up",
    )
    async def remove(video_id: VideoId, asked: Annotated[OneCollection, Query()]) -> None:
        work = partial(service.library.remove, asked.collection, video_id)
        await service.slots.run(work, service.metrics.waited)

    return routes
