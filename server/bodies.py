"""Bodies of many bytes, read as JSON beside the event loop, which has others to answer meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.doubled import named_once

LARGE = 256 << 10  # bytes; what is smaller is read sooner than a thread takes it up
MOST_NESTED = 1 << 18  # lists, objects and fields; in the largest of vectors there are some hundred


class Route(APIRoute):
    """Whose bodies are read so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handled


class _Request(Request):
    async def json(self) -> Any:
        return await parsed(await self.body())


async def parsed(body: bytes | str) -> Any:
    """As json.loads has it, mistakes too."""
    if len(body) < LARGE:
        return json.loads(body, object_pairs_hook=named_once)
    if _nested(body) > MOST_NESTED:
        # Of the framework's own kind, which it hands on to the error table while it reads a body.
        raise HTTPException(413, f"The body has more than {MOST_NESTED:,} lists, objects and fields")
    # json.loads lets no other thread run but where it calls what is written in Python.
    reading = partial(json.loads, body, parse_float=_float, parse_int=_int, object_pairs_hook=named_once)
    return await to_thread.run_sync(reading)


def _nested(body: bytes | str) -> int:
    """At most: texts are counted as well."""
    if isinstance(body, str):
        return sum(body.count(sign) for sign in "[{:")
    return sum(body.count(sign) for sign in (b"[", b"{", b":"))


def _float(text: str) -> float:
    return float(text)


def _int(text: str) -> int:
    return int(text)
