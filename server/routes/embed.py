"""POST /embed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Depends, Response

from core.query import Frames
from core.types import Float32Array
from server.bodies import Route
from server.compose import encode
from server.decoding import How, Sent
from server.parameters import none
from server.schemas.embed import EmbedAnswer, EmbedAsked
from server.schemas.errors import errors
from server.searcher import Searcher
from server.service import Service
from server.visual import photos


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"], route_class=Route, dependencies=[Depends(none)])

    @routes.post(
        "/embed",
        response_model=EmbedAnswer,
        responses=errors(400, 403, 404, 409, 413, 415, 422, 429, 503),
        summary="The vectors of texts or pictures",
    )
    async def embed(asked: EmbedAsked) -> Response:
        if asked.texts is not None:
            work = partial(_texts, texts=asked.texts)
        else:
            look = service.library.find(asked.collection, asked.encoder).encoder.spec.look
            sent = [Sent(f"images[{number}]", image) for number, image in enumerate(asked.images or ())]
            frames = await service.strangers.frames(sent, How(look))
            work = partial(_images, frames=[*frames.values()])
        body = await service.ask(asked.collection, asked.encoder, work, asked.texts or ())
        return Response(body, media_type="application/json")

    return routes


def _texts(searcher: Searcher, texts: Sequence[str]) -> bytes:
    encoder = searcher.encoder
    return _answer(encode(encoder, texts), searcher.name, encoder.too_long(texts))


def _images(searcher: Searcher, frames: Sequence[Frames]) -> bytes:
    return _answer(photos(frames, searcher.encoder), searcher.name, [False] * len(frames))


def _answer(vectors: Float32Array, encoder: str, truncated: list[bool]) -> bytes:
    shortest = [[*map(float, map(str, row))] for row in vectors]  # digits that give the same float32 again
    return EmbedAnswer(vectors=shortest, encoder=encoder, truncated=truncated).model_dump_json().encode()
