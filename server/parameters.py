"""What an address says behind its `?`, so that nothing there is silently without effect."""

from __future__ import annotations

from fastapi import Request

from server.errors import ApiError

MOST_NAMED = 200


async def each_once(request: Request) -> None:
    """A dependency of routes that take parameters: of one that is there twice only the last would count."""
    told = set[str]()
    for name, _ in request.query_params.multi_items():
        if name in told:
            name = name[:MOST_NAMED]
            raise ApiError(400, f"{name!r} is there more than once.", name)
        told.add(name)


async def none(request: Request) -> None:
    """A dependency of routes that are told everything in their bodies."""
    for name in request.query_params:
        name = name[:MOST_NAMED]
        raise ApiError(400, f"{name!r} is no parameter; {request.url.path} takes all in its body.", name)
