"""The same questions, awaited."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial, wraps
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from cinedex_client import answers, calls
from cinedex_client.calls import Call
from cinedex_client.client import signed
from cinedex_client.download import Download
from cinedex_client.errors import ClientError
from cinedex_client.patience import Patience
from cinedex_client.questions import Of, Query, SearchOptions, Within
from cinedex_client.settings import DEFAULT_URL, Paged, http_settings

P = ParamSpec("P")
T = TypeVar("T")
Page = TypeVar("Page", bound=Paged)


def _asks(call: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    """The method that sends a call."""

    @wraps(call)
    async def ask(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._send(call(*args, **kwargs))

    return signed(ask, call)


class AsyncClient:
    """As Client, in an event loop of asyncio: every answer is awaited, every iterator is asynchronous."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(**http_settings(url, key, timeout_s), transport=transport)
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

    async def health(self) -> bool:
        """Whether the server answers at all."""
        try:
            await self._send(calls.health())
        except ClientError:
            return False
        return True

    async def pages(
        self, query: Query | None = None, **options: Unpack[SearchOptions]
    ) -> AsyncIterator[answers.Answer]:
        """A search, page by page of `limit` results, until there are no more."""
        async for page in self._pages(partial(calls.page, query, options)):
            yield page

    async def search_all(
        self, query: Query | None = None, **options: Unpack[SearchOptions]
    ) -> AsyncIterator[answers.Found]:
        """The results of all pages, best first; `limit` is how many are fetched at a time."""
        async for page in self.pages(query, **options):
            for result in page.results:
                yield result

    async def videos(
        self,
        *,
        root: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        **of: Unpack[Of],
    ) -> AsyncIterator[answers.Video]:
        """All stored videos, by path; `limit` is how many are fetched at a time."""
        ask = partial(calls.videos, root=root, prefix=prefix, limit=limit, **of)
        async for page in self._pages(lambda cursor: ask(cursor=cursor)):
            for video in page.videos:
                yield video

    async def clip(self, video_id: str, to: str | PathLike[str], **within: Unpack[Within]) -> Path:
        """Write some seconds of a stored video to a file, as an MP4."""
        return await self._fetch(calls.clip(video_id, **within), to)

    async def media(self, video_id: str, to: str | PathLike[str], **of: Unpack[Of]) -> Path:
        """Write a stored video's file to a file. What was begun and broke off is gone on with."""
        return await self._fetch(calls.media(video_id, **of), to)

    async def _send(self, call: Call[T]) -> T:
        patience = Patience(self._retries, call, self._http.base_url)
        while True:
            try:
                with call.written() as request:
                    answer = await self._http.request(**request)
            except httpx.RequestError as error:
                wait_s = patience.wait_s(error)
            else:
                if patience.is_over(answer):
                    return call.read(answer)
                wait_s = patience.wait_s(answer)
            await sleep(wait_s)

    async def _fetch(self, call: Call[None], to: str | PathLike[str]) -> Path:
        patience = Patience(self._retries, call, self._http.base_url)
        with Download(call, to) as download:
            while True:
                try:
                    async with self._http.stream(**download.request()) as answer:
                        if download.begins(answer):
                            async for piece in answer.aiter_bytes():
                                if await asyncio.to_thread(download.write, piece):
                                    patience.went_on()
                            return download.finish()
                        await answer.aread()
                except httpx.RequestError as error:
                    wait_s = patience.wait_s(error)
                else:
                    wait_s = patience.wait_s(answer)
                await sleep(wait_s)

    async def _pages(
        self, ask: Callable[[str | None], Call[Page]], cursor: str | None = None
    ) -> AsyncIterator[Page]:
        while True:
            page = await self._send(ask(cursor))
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
