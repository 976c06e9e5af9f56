"""The OpenAPI document, with what the gate does and no route says: keys, and what is refused everywhere."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from server.access import COOKIE, is_open_path
from server.schemas.errors import errors

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "as POST /login sets it"},
}
_BY_KEY: list[dict[str, list[str]]] = [{name: [] for name in [scheme]} for scheme in _SCHEMES]
_ANYWHERE, _OF_BODIES, _OF_KEYS = (400, 403, 414, 431, 503), (408, 413, 415), (401,)
_SENDING = ("post", "put", "patch", "delete")


def install(app: FastAPI) -> None:
    """Tell of keys on every route that takes one, also on those that are added later."""
    plain = app.openapi

    def told() -> dict[str, Any]:
        if not app.openapi_schema:
            _tell(plain())
        return plain()

    app.openapi = told  # type: ignore[method-assign]  # as FastAPI says to do it


def _tell(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = _SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            takes_key = not is_open_path(path)
            operation["security"] = [{}, *_BY_KEY] if takes_key else []  # {}: where the server has no keys
            statuses = {
                *_ANYWHERE,
                *(_OF_BODIES if method in _SENDING else ()),
                *(_OF_KEYS if takes_key else ()),
            }
            operation["responses"] = dict(sorted((_told(*statuses) | operation["responses"]).items()))


def _told(*statuses: int) -> dict[str, Any]:
    """These errors, as the document has them."""
    shape = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    return {
        str(status): {"description": held["description"], "content": shape}
        for status, held in errors(*statuses).items()
        if status != "default"
    }
