"""Alive, ready, what is served, and figures."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from core.types import KINDS
from extractor.encoders import notice_of
from server.library import Offer, ServedLibrary
from server.metrics import CONTENT_TYPE
from server.schemas.errors import errors
from server.schemas.health import CollectionsAnswer, CollectionShown, EncoderShown, HealthAnswer, ReadyAnswer
from server.service import Service

NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": ReadyAnswer, "description": "Not ready; the reasons are in it"}
}
AS_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    library, routes = service.library, APIRouter(tags=["health"])

    @routes.get("/healthz", responses=errors(), summary="The process answers")
    async def healthz() -> HealthAnswer:
        return HealthAnswer()

    @routes.get("/readyz", responses=errors() | NOT_READY, summary="The default collection can be searched")
    async def readyz(request: Request, response: Response) -> ReadyAnswer:
        offers = library.offers.get(library.default or "")
        ready = bool(offers) and offers is not None and offers[0].seen.problem is None
        response.status_code = 200 if ready else 503
        is_known = request.state.caller is not None
        return ReadyAnswer(ready=ready, collections=collections(library) if is_known else [])

    @routes.get("/collections", responses=errors(), summary="What is served")
    async def served() -> CollectionsAnswer:
        return CollectionsAnswer(collections=collections(library))

    @routes.get(
        "/metrics", responses=errors() | AS_TEXT, response_class=Response, summary="Figures for Prometheus"
    )
    async def figures() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    # As monitors ask, who want no more than the status.
    routes.head("/healthz", include_in_schema=False)(healthz)
    routes.head("/readyz", include_in_schema=False)(readyz)
    return routes


def collections(library: ServedLibrary) -> list[CollectionShown]:
    """Every collection with its encoders, as of the last look."""
    default = library.default
    return [
        CollectionShown(
            name=name,
            default=name == default,
            encoders=[_encoder(offer, number == 0) for number, offer in enumerate(offers)],
        )
        for name, offers in library.offers.items()
    ]


def _encoder(offer: Offer, default: bool) -> EncoderShown:
    seen = offer.seen
    is_ready = seen.problem is None and seen.view is not None
    view = seen.view if is_ready else None
    return EncoderShown(
        name=offer.encoder,
        fingerprint=seen.spec.fingerprint if seen.spec else "",
        dim=seen.spec.dim if seen.spec else 0,
        default=default,
        ready=is_ready,
        reason=str(seen.problem) if seen.problem else None,
        snapshot=view.number if view else None,
        rows={kind: view.rows.get(kind, 0) for kind in KINDS} if view else None,
        notice=notice_of(offer.encoder),
    )
