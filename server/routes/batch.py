"""POST /search/batch: several searches, each answered as if it were alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Response
from pydantic import ValidationError

from core.errors import EncoderError, Error
from core.query import Query
from extractor.encoders.base import Encoder
from server.bodies import Route
from server.errors import ApiError
from server.paging import Page, page_of, texts_of
from server.parameters import none
from server.refusals import Refusal, of_error, of_validation
from server.routes.search import answered
from server.schemas.batch import MAX_PICTURES, BatchAnswer, BatchAsked, Refused
from server.schemas.errors import ErrorBody, errors
from server.schemas.search import SearchAsked
from server.searcher import Searcher, Took
from server.seen import frames_in, pictures_in
from server.service import Service, knowing
from server.spent import Spent

Ahead = Mapping[Encoder, Encoder]  # by what they stand for


def router(service: Service) -> APIRouter:
    """Its routes, with what they need."""
    routes = APIRouter(tags=["search"], route_class=Route, dependencies=[Depends(none)])

    @routes.post(
        "/search/batch",
        response_model=BatchAnswer,
        responses=errors(400, 403, 413, 415, 429),
        summary="Several searches, answered in order",
    )
    async def batch(asked: BatchAsked) -> Response:
        bodies = await to_thread.run_sync(_read_all, asked.requests)  # many MiB of vectors, perhaps
        held = [body for body in bodies if isinstance(body, _Body)]
        _require_few_pictures(sum(body.pictures for body in held))
        turns = _Turns(service)
        ahead = await turns.encoded([body.page for body in held])
        answers = [
            await turns.answer(body, ahead) if isinstance(body, _Body) else _sent(body) for body in bodies
        ]
        return Response(b'{"answers":[' + b",".join(answers) + b"]}", media_type="application/json")

    return routes


@dataclass(frozen=True, slots=True)
class _Body:
    """One search of a batch. Its pictures are decoded when its turn comes, and not held beside others'."""

    asked: SearchAsked
    page: Page  # without its pictures

    @property
    def pictures(self) -> int:
        return pictures_in(self.asked)


def _read_all(bodies: Sequence[Any]) -> list[_Body | Refusal]:
    return [_read(body) for body in bodies]


def _read(body: Any) -> _Body | Refusal:
    try:
        asked = SearchAsked.model_validate(body)
        return _Body(asked, page_of(asked))
    except ValidationError as error:
        wrong = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        return of_validation(wrong, SearchAsked)
    except Error as error:
        return of_error(error)


def _require_few_pictures(count: int) -> None:
    if count > MAX_PICTURES:
        message = f"requests: there are {count} pictures in them; a batch may have {MAX_PICTURES}."
        raise ApiError(400, message, "requests")


def _sent(refusal: Refusal) -> bytes:
    body = ErrorBody(type=refusal.named, message=refusal.message, field=refusal.field)
    return Refused(error=body).model_dump_json().encode()


class _Turns:
    """The turns of one batch: it has one slot at a time and waits for it anew, so others come in between.
    Only the first may be refused for want of one."""

    def __init__(self, service: Service) -> None:
        self._service, self._spent = service, Spent()

    async def encoded(self, pages: Sequence[Page]) -> Ahead:
        """Each encoder as one that knows the texts of all."""
        found: dict[Encoder, Encoder] = {}
        for searcher, texts in self._by_encoder(pages):
            with self._service.slots.place(self._spent.is_in):
                self._spent.is_in = True
                with suppress(EncoderError):  # each is told by itself
                    found[searcher.encoder] = (await knowing(searcher, texts)).encoder
        return found

    def _by_encoder(self, pages: Sequence[Page]) -> list[tuple[Searcher, list[str]]]:
        """What each has to encode; none where it does not answer, which each page is told by itself."""
        queries: dict[Encoder, tuple[Searcher, list[Query]]] = {}
        for page in pages:
            try:
                searcher = self._service.library.find(page.collection, page.encoder, page.cursor)
            except Error:
                continue
            queries.setdefault(searcher.encoder, (searcher, []))[1].append(page.query)
        return [(searcher, texts) for searcher, each in queries.values() if (texts := texts_of(each))]

    async def answer(self, body: _Body, ahead: Ahead) -> bytes:
        """What one is answered with."""
        try:
            page = await self._page(body)
            work = partial(_answered, page=page, ahead=ahead)
            took, found = await self._service.ask(
                page.collection, page.encoder, work, goes_on=self._spent.is_in, cursor=page.cursor
            )
        except Error as error:
            refusal = of_error(error)
            if refusal.status == 429:  # of the whole batch
                raise
            return _sent(refusal)
        self._spent.is_in = True
        self._service.metrics.took(took)
        return found

    async def _page(self, body: _Body) -> Page:
        if not body.pictures:
            return body.page
        return page_of(body.asked, await frames_in(self._service, body.asked, spent=self._spent))


def _answered(searcher: Searcher, page: Page, ahead: Ahead) -> tuple[Took, bytes]:
    return answered(replace(searcher, encoder=ahead.get(searcher.encoder, searcher.encoder)), page)
