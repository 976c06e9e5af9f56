"""What can go wrong between a question and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx


class ClientError(Exception):
    """Whatever went wrong between here and the answer."""


class Unreachable(ClientError):
    """No answer came."""


class TimedOut(Unreachable):
    """No answer came in time."""


class ApiError(ClientError):
    """The server answered with an error."""

    def __init__(self, status: int, type: str, message: str, field: str | None, request_id: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type  # "invalid_request", "not_found", …
        self.message = message
        self.field = field  # the path within the request, or None
        self.request_id = request_id
        self.retry_after_s: float | None = None


class InvalidRequest(ApiError):
    """400: what was sent is not right; `field` says what."""


class Unauthorized(ApiError):
    """401: the server has keys, and got none that it knows."""


class Forbidden(ApiError):
    """403: the key is not for that, or the host's name is none of the server's."""


class NotFound(ApiError):
    """404: there is no such collection, encoder, video or route."""


class Conflict(ApiError):
    """409: this collection or its encoder cannot do that."""


class Gone(ApiError):
    """410: the snapshot of a cursor is no longer kept; begin at the first page again."""


class TooLarge(ApiError):
    """413, 414, 431: more was sent than the server takes."""


class UndecodableMedia(ApiError):
    """422: a picture or a video cannot be decoded."""


class TooManyRequests(ApiError):
    """429: all places are taken; `retry_after_s` says when to come again."""


class InternalError(ApiError):
    """500: a bug of the server, whose log has it under `request_id`."""


class Unavailable(ApiError):
    """503: it cannot answer now."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    414: TooLarge,
    422: UndecodableMedia,
    429: TooManyRequests,
    431: TooLarge,
    500: InternalError,
    503: Unavailable,
}
_STATUS_OF = {  # within a batch an error comes without its status
    "invalid_request": 400,
    "not_built": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "gone": 410,
    "too_large": 413,
    "undecodable_media": 422,
    "too_many_requests": 429,
    "internal": 500,
    "unavailable": 503,
}


def error_of(error: Mapping[str, Any], request_id: str, status: int | None = None) -> ApiError:
    """The object `error` of an answer; KeyError, TypeError where it is none."""
    status = _STATUS_OF.get(error["type"], 500) if status is None else status
    kind = _BY_STATUS.get(status, ApiError)
    return kind(status, error["type"], error["message"], error["field"], request_id)


def error_in(answer: httpx.Response) -> ClientError:
    """What an answer that is no success says."""
    try:
        held = answer.json()
        found = error_of(held["error"], held["request_id"], answer.status_code)
    except (ValueError, LookupError, TypeError):
        where = answer.url.copy_with(query=None)
        return ClientError(f"{where} answers {answer.status_code}, and not as a Cinedex server does.")
    found.retry_after_s = retry_after_s(answer)
    return found


def retry_after_s(answer: httpx.Response) -> float | None:
    """When to come again; a date, which our server never says, counts as nothing said."""
    after = answer.headers.get("retry-after", "")
    return float(after) if after.isascii() and after.isdigit() else None


def failure(url: httpx.URL, error: httpx.RequestError) -> ClientError:
    """Why there is no answer."""
    why = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{url} does not answer in time: {why}.")
    if isinstance(error, httpx.TransportError):
        return Unreachable(f"{url} does not answer: {why}.")
    return ClientError(f"The answer of {url} cannot be read: {why}.")
