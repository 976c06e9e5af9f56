"""The error table: whatever a route raises, in the one shape of docs/http-api.md."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from core.commands import nearest
from core.errors import EncoderError, Error, NoTextsError, UsageError
from server.doubled import NOWHERE
from server.errors import ApiError, type_of
from server.filters import TESTS
from server.gate import error_answer

log = logging.getLogger(__name__)
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_SHOWN = 60  # characters of a value that is wrong
_NAMED = 200  # and of a name


class WrongBody(RequestValidationError):
    """Of a body that is no JSON itself, but has some in it that should be such a model."""

    def __init__(self, model: type[BaseModel], error: ValidationError) -> None:
        super().__init__([{**each, "loc": ("body", *each["loc"])} for each in error.errors()])
        self.model = model


def install(app: FastAPI) -> None:
    """Answer what routes raise."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        asked = error.model if isinstance(error, WrongBody) else _asked(request)
        return _answer(of_validation(error.errors(), asked), request.state.request_id)

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> Response:
        answer = error_answer(error.status_code, _says(error, request), request.state.request_id)
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["Allow"] = _allowed(app, request)
        return answer

    @app.exception_handler(Error)
    async def known(request: Request, error: Error) -> Response:
        answer = _answer(of_error(error), request.state.request_id)
        answer.headers.update(getattr(error, "headers", {}))
        return answer


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods of all routes of a path; the framework tells those of the first one."""
    taken = (
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.router.routes
        )
    )
    return ", ".join(taken)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error is answered with."""

    status: int
    message: str
    field: str | None = None

    @property
    def named(self) -> str:
        return type_of(self.status)


def _answer(refusal: Refusal, id: str) -> Response:
    return error_answer(refusal.status, refusal.message, id, refusal.field, type=refusal.named)


def of_validation(errors: Sequence[Any], asked: Any) -> Refusal:
    """Of a body with these mistakes; asked: the type that it should be of."""
    return Refusal(400, *sentence(errors[0], asked))


def of_error(error: Error) -> Refusal:
    """Of what is known to go wrong."""
    if isinstance(error, (ApiError, UsageError, NoTextsError)):
        return Refusal(error.http_status, str(error), getattr(error, "field", None))
    log.error("request failed error=%s", error)  # it may name files, which no answer does
    what = "encoder cannot answer" if isinstance(error, EncoderError) else "store cannot be read"
    return Refusal(503, f"The {what}; the log has it by the id.")


def _says(error: HTTPException, request: Request) -> str:
    if error.status_code == 404:
        return f"There is no {request.url.path!r} here."
    if error.status_code == 405:
        return f"{request.url.path} does not take {request.method}."
    if error.status_code == 400:
        return "The body cannot be read as JSON."
    return str(error.detail).rstrip(".") + "."


def _asked(request: Request) -> Any:
    """What the body of a route is, as it is declared."""
    body = getattr(request.scope.get("route"), "body_field", None)
    return None if body is None else body.field_info.annotation


def sentence(error: Any, asked: Any) -> tuple[str, str | None]:
    """What is wrong, and the field it is about; asked: the type that the body should be of."""
    kind, loc = error["type"], error["loc"][1:]
    if kind == "json_invalid":
        if error["loc"][-1] == NOWHERE:
            return f"The body {error['ctx']['error']}.", None
        return f"The body is not JSON: {error['ctx']['error']} at character {error['loc'][-1]}.", None
    if kind == "wrong_at":
        loc = (*loc, error["ctx"]["field"])
    field = path_of(loc)
    if kind == "string_unicode":  # a value's or a name's in an object; which of both is not told
        return f"{field or 'The body'} has text that is not Unicode{_got(error.get('input'))}.", field
    if field is None and kind == "refused":
        return f"The body {error['msg']}.", None
    if field is None:
        return "The body must be a JSON object.", None
    if kind == "missing":
        return f"{field} is missing.", field
    if kind == "extra_forbidden" and "filter" in loc[:-1]:
        return (
            f"{field} is no test; there are {', '.join(TESTS)}{nearest(str(loc[-1])[:_NAMED], [*TESTS])}",
            field,
        )
    if kind == "extra_forbidden":
        return f"{field} is no field of a request{nearest(str(loc[-1])[:_NAMED], _names(loc, asked))}", field
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{field} must be an object{_got(error.get('input'))}.", field
    what = str(error["msg"])
    if kind == "wrong_at":
        return f"{field}: {what}.", field
    return f"{field}: {what[0].lower()}{what[1:]}{_got(error.get('input'))}.", field


def path_of(loc: Sequence[str | int]) -> str | None:
    """`query[0].text`; tags of a choice ("<parts>") are left out."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("<"):
            name = step if len(step) <= _NAMED else step[:_NAMED] + "…"
            path += f".{name}" if path else name
    return path or None


def _names(loc: Sequence[str | int], asked: Any) -> list[str]:
    """The fields that there are where a wrong one stands."""
    models = [*_models(asked)]
    for step in loc[:-1]:
        inner = [model.model_fields[step] for model in models if step in model.model_fields]
        models = [each for field in inner for each in _models(field.annotation)] if inner else models
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _models(type_: Any) -> Iterator[type[BaseModel]]:
    """Those in a type: of a list, of a choice, or itself."""
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        yield type_
    for inner in get_args(type_):
        yield from _models(inner)


def _got(value: object) -> str:
    if value is None or isinstance(value, (dict, list)):
        return ""
    shown = repr(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return f" (got {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'})"
