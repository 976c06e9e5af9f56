"""POST /knn-service, POST /metadata and GET /indices-list, as clip-retrieval's back-end has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from server.errors import ApiError
from server.knn import Knn, described, neighbours
from server.schemas.errors import errors
from server.schemas.knn import GIVEN, KnnAsked, KnnShown, MetadataAsked, MetadataShown
from server.searcher import Searcher
from server.service import Service

T = TypeVar("T")
NOT_APPLIED = "X-Not-Applied"


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["clip-retrieval"])
    may_fail = errors(400, 403, 404, 409, 413, 415, 429, 503)

    @routes.post(
        "/knn-service", response_model=list[KnnShown], responses=may_fail, summary="The nearest rows"
    )
    async def knn_service(asked: KnnAsked, request: Request) -> Response:
        work = partial(neighbours, asked=_knn(asked, request))
        found = await _ask(service, asked.indice_name, lambda searcher: json.dumps(work(searcher)))
        headers = {NOT_APPLIED: ", ".join(asked.not_applied)} if asked.not_applied else None
        return Response(found, media_type="application/json", headers=headers)

    @routes.post(
        "/metadata",
        response_model=list[MetadataShown],
        responses=may_fail | errors(410),
        summary="What rows stand for",
    )
    async def metadata(asked: MetadataAsked, request: Request) -> Response:
        work = partial(described, ids=asked.ids, base_url=str(request.base_url))
        found = await _ask(service, asked.indice_name, lambda searcher: json.dumps(work(searcher)))
        return Response(found, media_type="application/json")

    @routes.get("/indices-list", responses=errors(), summary="Collections, and their further encoders")
    async def indices_list() -> list[str]:
        return _names(service)

    return routes


def _knn(asked: KnnAsked, request: Request) -> Knn:
    given = [name for name in GIVEN if getattr(asked, name) is not None]
    if len(given) != 1:
        message = f"One of {', '.join(GIVEN)} is to be given, and {' and '.join(given) or 'none'} is."
        raise ApiError(400, message, given[1] if given else "text")
    return Knn(
        asked.text if asked.text is not None else tuple(asked.embedding_input or ()),
        asked.modality == "text",
        asked.num_result_ids or asked.num_images,
        asked.num_images,
        asked.deduplicate,
        str(request.base_url),
    )


def _names(service: Service) -> list[str]:
    """A collection stands for its first encoder; the further ones are behind a slash. The default first."""
    offers = service.library.offers
    collections = sorted(offers, key=lambda name: name != service.library.default)
    return [
        name if number == 0 else f"{name}/{offer.encoder}"
        for name in collections
        for number, offer in enumerate(offers[name])
    ]


async def _ask(service: Service, indice_name: str | None, work: Callable[[Searcher], T]) -> T:
    collection, _, encoder = (indice_name or "").partition("/")
    try:
        return await service.ask(collection or None, encoder or None, work)
    except ApiError as error:
        if error.http_status == 404 and error.field in ("collection", "encoder"):
            names = ", ".join(_names(service)[:10])
            message = f"indice_name: there is no {indice_name!r} here; there is {names}."
            raise ApiError(404, message, "indice_name") from None
        raise
