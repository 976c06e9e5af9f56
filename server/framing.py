"""What is no sound request, though it is HTTP to the layer below: answered with 400, 414 or 431."""

from __future__ import annotations

import re
from unicodedata import category

from starlette.datastructures import Headers
from starlette.types import Scope

from server.errors import ApiError

MOST_TARGET = 8 << 10  # bytes of the path and the query string
MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 << 10  # of all names and values
_ONCE = (
    *("host", "content-length", "transfer-encoding", "content-type", "origin"),
    *("authorization", "x-api-key"),
)
_HOST = re.compile(r"([\w.~-]+|\[[0-9A-Fa-f:.]+\])?(:\d{0,5})?", re.ASCII)
_LENGTH = re.compile(r"\d{1,20}", re.ASCII)


def malformed(scope: Scope, headers: Headers) -> ApiError | None:
    """Why a request is not looked at: two programs could read it in two ways, or it is absurdly large."""
    return _too_large(scope) or _of_path(scope) or _of_headers(headers)


def _too_large(scope: Scope) -> ApiError | None:
    if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MOST_TARGET:
        return ApiError(414, f"The path and the query string are longer than {MOST_TARGET} bytes.")
    if len(scope["headers"]) > MOST_HEADERS:
        return ApiError(431, f"There are more than {MOST_HEADERS} headers.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
        return ApiError(431, f"The headers are longer than {MOST_HEADER_BYTES} bytes.")
    return None


def _of_path(scope: Scope) -> ApiError | None:
    path = scope["path"]
    if not path.startswith("/"):
        return ApiError(400, "The path must begin with '/'.")
    if any(category(c) == "Cc" for c in path):
        return ApiError(400, "The path must have no control characters.")
    if "\ufffd" in path:
        return ApiError(400, "The path must be UTF-8.")
    return None


def _of_headers(headers: Headers) -> ApiError | None:
    for name in _ONCE:
        if len(headers.getlist(name)) > 1:
            return ApiError(400, f"The header {name} is there more than once.")
    if "content-length" in headers and "transfer-encoding" in headers:
        return ApiError(400, "Content-Length and Transfer-Encoding exclude each other.")
    if not _LENGTH.fullmatch(headers.get("content-length", "0")):
        return ApiError(400, "Content-Length must be a number of bytes.")
    if not _HOST.fullmatch(headers.get("host", "")):
        return ApiError(400, "The header host is no name and port.")
    return None
