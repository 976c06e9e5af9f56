"""The one shape of all errors, and which of them a route may answer."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ErrorBody(BaseModel):
    """What went wrong."""

    type: str = Field(description="for programs: one of the contract's list")
    message: str = Field(description="one sentence for people")
    field: str | None = Field(description="the path within the body, or a parameter's name")


class ErrorAnswer(BaseModel):
    """Every error has this shape."""

    error: ErrorBody
    request_id: str


_MEANINGS = {
    400: "No sound request, or a wrong field, which is named",
    401: "No key, or an unknown one",
    403: "A host or an origin that is not allowed, or a key of too little scope",
    404: "No such collection, encoder or id",
    408: "No more of the body came in time",
    409: "Encoder and index do not fit, or no such rows",
    410: "The snapshot that it names is no longer kept",
    413: "The body is too large",
    414: "The path and the query string are too long",
    415: "The body is not of the type that is asked for",
    416: "The range lies behind the end of the file",
    422: "Media that cannot be decoded",
    429: "Too many requests; Retry-After says when",
    431: "The headers are too many or too long",
    503: "Loading, no snapshot is published, or no answer was found in time",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, as OpenAPI has them."""
    named: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses
    }
    return named | {"default": {"model": ErrorAnswer, "description": "Any other error, in the same shape"}}
