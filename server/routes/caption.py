"""POST /caption: a stored video in words."""

from __future__ import annotations

import time
from functools import partial

from fastapi import APIRouter, Depends

from server.bodies import Route
from server.captioning import Planned, Writing, planned
from server.errors import ApiError
from server.parameters import none
from server.schemas.errors import errors
from server.schemas.tag import CaptionAnswer, CaptionAsked, CaptionShown
from server.searcher import Searcher
from server.service import Service
from server.stored import Named

STEP_S = 0.2  # for which a request that writes keeps its slot; then others come before it
MOST_S = 60.0  # after which it is given up


def router(service: Service) -> APIRouter:
    """Its route, with what it needs."""
    routes = APIRouter(tags=["videos"], route_class=Route, dependencies=[Depends(none)])

    @routes.post(
        "/caption",
        response_model=CaptionAnswer,
        responses=errors(400, 403, 404, 409, 413, 415, 422, 429, 503),
        summary="Describe a video in words",
    )
    async def caption(asked: CaptionAsked) -> CaptionAnswer:
        named = Named(asked.video_id, asked.start, asked.end)
        plan = await service.ask(
            asked.collection, asked.encoder, partial(planned, named=named, anew=asked.beams is not None)
        )
        lines = plan.stored or (await _written(service, asked, plan)).lines
        shown = [
            CaptionShown(start=line.start, end=line.end, text=line.text, written_by=line.written_by or None)
            for line in lines
        ]
        return CaptionAnswer(captions=shown, encoder=plan.called)

    return routes


async def _written(service: Service, asked: CaptionAsked, plan: Planned) -> Writing:
    """The file is decoded in a process of its own; a slot is taken again and again."""
    from extractor.media.at import pictures_at  # brings torch

    assert plan.opened is not None
    with plan.opened as found:
        pixels = await service.isolated(found.name, pictures_at, found.file.path, plan.times, found.look)
        found.require_same()
    writing, until = Writing(plan, pixels, asked.beams or 1), time.monotonic() + MOST_S

    def step(searcher: Searcher) -> bool:
        return writing.advance(searcher, STEP_S)

    while not await service.ask(asked.collection, asked.encoder, step, goes_on=True):
        if time.monotonic() >= until:
            done = f"{len(writing.lines)} of {len(plan.clips)}"
            message = f"Of the clips {done} are written about after {MOST_S:g} s; start and end take fewer."
            raise ApiError(503, message)
    return writing
