"""POST /knn-service, POST /metadata and GET /indices-list, as clip-retrieval's back-end has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from core.query import Part
from server.bodies import Route
from server.decoding import How, Sent
from server.errors import ApiError
from server.knn import Knn, described, neighbours
from server.parameters import none
from server.schemas.errors import errors
from server.schemas.knn import GIVEN, KnnAsked, KnnShown, MetadataAsked, MetadataShown
from server.searcher import Searcher
from server.service import Service

NOT_APPLIED = "X-Not-Applied"


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["clip-retrieval"], route_class=Route)
    may_fail = errors(400, 403, 404, 409, 413, 415, 422, 429, 503)

    @routes.post(
        "/knn-service",
        response_model=list[KnnShown],
        responses=may_fail,
        dependencies=[Depends(none)],
        summary="The nearest rows",
    )
    async def knn_service(asked: KnnAsked, request: Request) -> Response:
        with _named(service, asked.indice_name) as (collection, encoder):
            given = await _given(service, asked, collection, encoder)
            work = partial(_neighbours, asked=_knn(asked, given, str(request.base_url)))
            found = await service.ask(collection, encoder, work, [asked.text] if asked.text else ())
        headers = {NOT_APPLIED: ", ".join(asked.not_applied)} if asked.not_applied else None
        return Response(found, media_type="application/json", headers=headers)

    @routes.post(
        "/metadata",
        response_model=list[MetadataShown],
        responses=may_fail | errors(410),
        dependencies=[Depends(none)],
        summary="What rows stand for",
    )
    async def metadata(asked: MetadataAsked, request: Request) -> Response:
        work = partial(_described, ids=asked.ids, base_url=str(request.base_url))
        with _named(service, asked.indice_name) as (collection, encoder):
            found = await service.ask(collection, encoder, work)
        return Response(found, media_type="application/json")

    @routes.get("/indices-list", responses=errors(), summary="Collections, and their further encoders")
    async def indices_list() -> list[str]:
        return _names(service)

    return routes


async def _given(
    service: Service, asked: KnnAsked, collection: str | None, encoder: str | None
) -> Part | tuple[float, ...]:
    """What rows are to be near to."""
    names = [name for name in GIVEN if getattr(asked, name) is not None]
    if len(names) != 1:
        message = f"One of {', '.join(GIVEN)} is to be given, and {' and '.join(names) or 'none'} is."
        raise ApiError(400, message, names[1] if names else "text")
    if asked.text is not None:
        return Part(text=asked.text)
    if asked.embedding_input is not None:
        return tuple(asked.embedding_input)
    look = service.library.find(collection, encoder).encoder.spec.look
    picture = asked.image
    if picture is None:
        (picture,) = await service.fetching.all([("image_url", asked.image_url or "")])
    frames = await service.strangers.frames([Sent(names[0], picture)], How(look))
    return Part(frames=frames[names[0]], at=names[0])


def _knn(asked: KnnAsked, given: Part | tuple[float, ...], base_url: str) -> Knn:
    return Knn(
        given,
        asked.modality == "text",
        asked.num_result_ids or asked.num_images,
        asked.num_images,
        asked.deduplicate,
        base_url,
    )


def _neighbours(searcher: Searcher, asked: Knn) -> str:
    return json.dumps(neighbours(searcher, asked))


def _described(searcher: Searcher, ids: Sequence[int], base_url: str) -> str:
    return json.dumps(described(searcher, ids, base_url))


def _names(service: Service) -> list[str]:
    """A collection stands for its first encoder; the further ones are behind a slash. The default first."""
    offers = service.library.offers
    collections = sorted(offers, key=lambda name: name != service.library.default)
    return [
        name if number == 0 else f"{name}/{offer.encoder}"
        for name in collections
        for number, offer in enumerate(offers[name])
    ]


@contextmanager
def _named(service: Service, indice_name: str | None) -> Iterator[tuple[str | None, str | None]]:
    """The collection and the encoder that a name stands for; what is said of them is said of the name."""
    collection, _, encoder = (indice_name or "").partition("/")
    try:
        yield collection or None, encoder or None
    except ApiError as error:
        if error.http_status == 404 and error.field in ("collection", "encoder"):
            names = ", ".join(_names(service)[:10])
            message = f"indice_name: there is no {indice_name!r} here; there is {names}."
            raise ApiError(404, message, "indice_name") from None
        raise
