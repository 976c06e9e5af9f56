"""What a client can meet: an error with a status, a type for programs and the field it is about."""

from __future__ import annotations

from core.errors import Error, UsageError

TYPES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    410: "gone",
    413: "too_large",
    414: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "undecodable_media",
    429: "too_many_requests",
    431: "too_large",
    500: "internal",
    503: "unavailable",
}


class ApiError(Error):
    """Answered with its status, in the one shape that all errors have."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.http_status = status
        self.exit_code = exit_code_of(status)
        self.field = field

    def within(self, where: str) -> ApiError:
        """The same of a query that lies deeper in the body."""
        if self.field is None or not str(self).startswith(self.field):
            return self
        return ApiError(self.http_status, f"{where}.{self}", f"{where}.{self.field}")


def exit_code_of(status: int) -> int:
    """As a command's: 2 for what was asked wrongly, as core.errors.UsageError has it."""
    return UsageError.exit_code if status in (400, 404) else Error.exit_code


def type_of(status: int) -> str:
    """The type that goes with a status."""
    return TYPES.get(status, "invalid_request" if status < 500 else "internal")
