"""POST /tag and /locate: questions about one stored video."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Depends, Response

from server.bodies import Route
from server.errors import ApiError
from server.judged import rounded
from server.labels import Labelling, Vocabulary, label_cache
from server.locating import Located, Range, located
from server.parameters import none
from server.schemas.errors import errors
from server.schemas.tag import (
    LocateAnswer,
    LocateAsked,
    OfVideo,
    RangeShown,
    TagAnswer,
    TagAsked,
    TagShown,
)
from server.searcher import Searcher
from server.service import Service
from server.stored import Named
from server.tagging import Tagged, tagged

STEP_S = 0.2  # for which a request that encodes labels keeps its slot; then others come before it
MOST_S = 20.0  # after which it is told to come again


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes, cache = APIRouter(tags=["videos"], route_class=Route, dependencies=[Depends(none)]), label_cache()
    may_fail = errors(400, 403, 404, 409, 413, 415, 429, 503)

    @routes.post("/tag", response_model=TagAnswer, responses=may_fail, summary="Rank labels for a video")
    async def tag(asked: TagAsked) -> Response:
        labelling = Labelling(Vocabulary(tuple(asked.labels), tuple(asked.templates)), cache)
        return await _in_steps(service, asked, labelling, partial(_tag, asked=asked, labelling=labelling))

    @routes.post(
        "/locate", response_model=LocateAnswer, responses=may_fail, summary="Where in a video texts are"
    )
    async def locate(asked: LocateAsked) -> Response:
        labelling = Labelling(Vocabulary(tuple(asked.texts)), cache)
        return await _in_steps(service, asked, labelling, partial(_locate, asked=asked, labelling=labelling))

    return routes


async def _in_steps(
    service: Service, asked: OfVideo, labelling: Labelling, step: Callable[[Searcher], bytes | None]
) -> Response:
    """Again and again, in a slot of its own each time, until there is an answer."""
    until = time.monotonic() + MOST_S
    while (body := await service.ask(asked.collection, asked.encoder, step)) is None:
        if time.monotonic() >= until:
            done = f"{labelling.done} of {len(labelling.vocabulary.labels)}"
            message = f"Of the texts {done} are encoded after {MOST_S:g} s; asked again, it goes on there."
            raise ApiError(503, message)
    return Response(body, media_type="application/json")


def _named(asked: OfVideo) -> Named:
    return Named(asked.video_id, asked.start, asked.end)


def _tag(searcher: Searcher, asked: TagAsked, labelling: Labelling) -> bytes | None:
    found = tagged(searcher, _named(asked), labelling, STEP_S)
    return None if found is None else _tags(found, asked.limit)


def _tags(found: Tagged, limit: int | None) -> bytes:
    shown = [
        TagShown(label=tag.label, score=tag.score, probability=tag.probability) for tag in found.tags[:limit]
    ]
    answer = TagAnswer(
        labels=shown,
        encoder=found.encoder,
        snapshot=found.snapshot,
        query_truncated=found.truncated,
        query_unknown=list(found.unknown),
    )
    return answer.model_dump_json().encode()


def _locate(searcher: Searcher, asked: LocateAsked, labelling: Labelling) -> bytes | None:
    found = located(searcher, _named(asked), labelling, STEP_S)
    return None if found is None else _located(found).model_dump_json().encode()


def _located(found: Located) -> LocateAnswer:
    return LocateAnswer(
        times=found.times.tolist(),
        scores=[[rounded(score) for score in mine] for mine in found.scores.tolist()],
        ranges=[[_range(each) for each in mine] for mine in found.ranges],
        level="frame" if found.kind == "frame" else "clip",
        encoder=found.encoder,
        snapshot=found.snapshot,
        query_truncated=found.truncated,
        query_unknown=list(found.unknown),
    )


def _range(found: Range) -> RangeShown:
    return RangeShown(
        start=found.start,
        end=found.end,
        score=rounded(found.score),
        confidence=found.confidence,
        confidence_level=found.level,
    )
