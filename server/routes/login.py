"""A key for a cookie, since `<img>` and `<video>` send no header."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Depends, Request, Response

from server.access import COOKIE, Access
from server.attempts import Attempts
from server.errors import ApiError
from server.parameters import none
from server.schemas.errors import errors
from server.schemas.login import LoginAsked

log = logging.getLogger(__name__)
KEPT_S = 30 * 86_400  # by the browser; the key may be over before


def router(access: Access) -> APIRouter:
    """Its routes, with what they need."""
    routes, attempts = APIRouter(tags=["login"]), Attempts()

    @routes.post(
        "/login",
        status_code=204,
        responses=errors(400, 401, 403, 409, 413, 415, 429),
        dependencies=[Depends(none)],
        summary="Ask with a cookie from now on",
    )
    async def login(asked: LoginAsked, request: Request, response: Response) -> None:
        if not access.is_by_key:
            raise ApiError(409, "This server has no keys; it is asked without one.")
        client = request.client.host if request.client else ""
        attempts.refuse(client)
        session = access.session(asked.key)
        if session is None:
            attempts.count(client)
            log.warning("login refused client=%s", client)
            raise ApiError(401, "key: it is not known here.", "key")
        key, cookie = session
        log.info("login key=%s client=%s", key.id, client)
        _set(response, request, cookie, KEPT_S)

    @routes.post("/logout", status_code=204, responses=errors(403), summary="Forget the cookie")
    async def logout(request: Request, response: Response) -> None:
        _set(response, request, "", 0)

    return routes


def _set(response: Response, request: Request, value: str, seconds: int) -> None:
    """Over HTTPS for HTTPS only; over HTTP a browser would not keep such a one."""
    is_https = request.url.scheme == "https"
    response.set_cookie(COOKIE, value, seconds, path="/", secure=is_https, httponly=True, samesite="strict")
    response.headers["Cache-Control"] = "no-store"
