"""The OpenAPI document, with what the gate does and no route says: keys."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from server.access import COOKIE, is_public
from server.schemas.errors import errors

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "as POST /login sets it"},
}
_BY_KEY: list[dict[str, list[str]]] = [{name: [] for name in [scheme]} for scheme in _SCHEMES]
_OF_KEYS = {
    str(status): {
        "description": held["description"],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
    }
    for status, held in errors(401, 403).items()
    if status != "default"
}


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
        for operation in operations.values():
            if is_public(path):
                operation["security"] = []
            else:
                operation["security"] = [{}, *_BY_KEY]  # {}: where the server has no keys
                operation["responses"] = dict(sorted((_OF_KEYS | operation["responses"]).items()))
