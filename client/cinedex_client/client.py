"""Questions, asked and waited for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial, wraps
from os import PathLike
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from cinedex_client import answers, calls
from cinedex_client.calls import Call
from cinedex_client.download import Download
from cinedex_client.errors import ClientError
from cinedex_client.patience import Patience
from cinedex_client.questions import Of, Query, SearchOptions, Within
from cinedex_client.settings import DEFAULT_URL, Paged, http_settings

P = ParamSpec("P")
T = TypeVar("T")
Page = TypeVar("Page", bound=Paged)


def _asks(call: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """The method that sends a call."""

    @wraps(call)
    def ask(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._send(call(*args, **kwargs))

    return signed(ask, call)


def signed(method: T, call: Callable[..., object]) -> T:
    """The method with the call's signature, as help() shows it."""
    own = inspect.signature(call, eval_str=False)
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    answered = str(own.return_annotation).removeprefix("Call[").removesuffix("]")
    method.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[first, *own.parameters.values()], return_annotation=answered
    )
    return method


class Client:
    """Asks one server. Thread-safe; close it, or use it in a `with`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """key: else $CINEDEX_KEY. retries: how often what got no answer, or 429 or 503, is asked again."""
        self._http = httpx.Client(**http_settings(url, key, timeout_s), transport=transport)
        self._retries = retries

    search = _asks(calls.search)
    upload = _asks(calls.upload)
    batch = _asks(calls.batch)
    similar = _asks(calls.similar)
    export = _asks(calls.export)
    embed = _asks(calls.embed)
    tag = _asks(calls.tag)
    locate = _asks(calls.locate)
    caption = _asks(calls.caption)
    video = _asks(calls.video)
    delete = _asks(calls.delete)
    thumbnail = _asks(calls.thumbnail)
    collections = _asks(calls.collections)
    ready = _asks(calls.ready)

    def health(self) -> bool:
        """Whether the server answers at all."""
        try:
            self._send(calls.health())
        except ClientError:
            return False
        return True

    def pages(self, query: Query | None = None, **options: Unpack[SearchOptions]) -> Iterator[answers.Answer]:
        """A search, page by page of `limit` results, until there are no more."""
        yield from self._pages(partial(calls.page, query, options))

    def search_all(
        self, query: Query | None = None, **options: Unpack[SearchOptions]
    ) -> Iterator[answers.Found]:
        """The results of all pages, best first; `limit` is how many are fetched at a time."""
        for page in self.pages(query, **options):
            yield from page.results

    def videos(
        self,
        *,
        root: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        **of: Unpack[Of],
    ) -> Iterator[answers.Video]:
        """All stored videos, by path; `limit` is how many are fetched at a time."""
        ask = partial(calls.videos, root=root, prefix=prefix, limit=limit, **of)
        for page in self._pages(lambda cursor: ask(cursor=cursor)):
            yield from page.videos

    def clip(self, video_id: str, to: str | PathLike[str], **within: Unpack[Within]) -> Path:
        """Write some seconds of a stored video to a file, as an MP4."""
        return self._fetch(calls.clip(video_id, **within), to)

    def media(self, video_id: str, to: str | PathLike[str], **of: Unpack[Of]) -> Path:
        """Write a stored video's file to a file. What was begun and broke off is gone on with."""
        return self._fetch(calls.media(video_id, **of), to)

    def _send(self, call: Call[T]) -> T:
        patience = Patience(self._retries, call, self._http.base_url)
        while True:
            try:
                with call.written() as request:
                    answer = self._http.request(**request)
            except httpx.RequestError as error:
                wait_s = patience.wait_s(error)
            else:
                if patience.is_over(answer):
                    return call.read(answer)
                wait_s = patience.wait_s(answer)
            sleep(wait_s)

    def _fetch(self, call: Call[None], to: str | PathLike[str]) -> Path:
        patience = Patience(self._retries, call, self._http.base_url)
        with Download(call, to) as download:
            while True:
                try:
                    with self._http.stream(**download.request()) as answer:
                        if download.begins(answer):
                            for piece in answer.iter_bytes():
                                if download.write(piece):
                                    patience.went_on()
                            return download.finish()
                        answer.read()
                except httpx.RequestError as error:
                    wait_s = patience.wait_s(error)
                else:
                    wait_s = patience.wait_s(answer)
                sleep(wait_s)

    def _pages(self, ask: Callable[[str | None], Call[Page]], cursor: str | None = None) -> Iterator[Page]:
        while True:
            page = self._send(ask(cursor))
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
