"""Bytes of an open file as HTTP hands them out: all of them, one range, or nothing new."""

from __future__ import annotations

import logging
import os
import re
from asyncio import wrap_future
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Protocol

from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from server.crew import Crew
from server.errors import ApiError

log = logging.getLogger(__name__)
_PIECE_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=(\d{0,4000})-(\d{0,4000})", re.IGNORECASE)


class Readable(Protocol):
    """An open file that is closed once it was sent."""

    @property
    def descriptor(self) -> int: ...

    def fits(self) -> bool:
        """Whether it is still what it was."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What a client is told of a file."""

    media_type: str
    etag: str
    cache: str


class RangeError(ApiError):
    """The range lies behind the file's end."""

    def __init__(self, size: int) -> None:
        super().__init__(416, f"Range: the file has {size} bytes, and none of those asked for.", "Range")
        self.headers = {"Content-Range": f"bytes */{size}"}


def response(request: Request, file: Readable, kind: Kind, reading: Crew) -> Response:
    """What the request's conditions and range ask for, read by these threads. It closes the file, whatever
    becomes of it."""
    try:
        found = os.fstat(file.descriptor)
        modified = formatdate(found.st_mtime, usegmt=True)
        headers = {
            "ETag": kind.etag,
            "Last-Modified": modified,
            "Cache-Control": kind.cache,
            "Accept-Ranges": "bytes",
        }
        if is_known(request, kind.etag):
            file.close()
            return Response(status_code=304, headers=headers)
        wanted = _range(request.headers, found.st_size, kind.etag, modified)
        first, behind = wanted or (0, found.st_size)
        headers["Content-Length"] = str(behind - first)
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{behind - 1}/{found.st_size}"
        end = first if request.method == "HEAD" else behind
        pieces = _Pieces(file, first, end, reading)
        return _Sent(pieces, 206 if wanted else 200, headers, kind.media_type)
    except BaseException:
        file.close()
        raise


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this already."""
    known = request.headers.get("if-none-match")
    return known is not None and (known.strip() == "*" or etag in re.findall(r'"[^"]*"', known))


def _range(headers: Mapping[str, str], size: int, etag: str, modified: str) -> tuple[int, int] | None:
    """The first byte and the one behind the last; None for all. What is no single range of bytes is passed
    over, as HTTP allows."""
    asked = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if asked is None or asked[0].endswith("=-"):
        return None
    if headers.get("if-range", etag) not in (etag, modified):
        return None  # another file than the one that the client has a piece of
    first, last = asked.groups()
    if not first:
        begin, behind = max(0, size - int(last)), size
    else:
        begin, behind = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= behind:
        raise RangeError(size)
    return begin, behind


class _Sent(StreamingResponse):
    """Piece by piece, and closed at the end; a client that leaves ends it."""

    def __init__(self, pieces: _Pieces, status: int, headers: dict[str, str], media_type: str) -> None:
        super().__init__(pieces.read(), status, headers, media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ChangedError:  # with less than was promised: the layer below breaks the connection off
            log.warning("a file has changed while it was sent")
        finally:
            self._pieces.close()


class _Pieces:
    """Of a file, read one by one in threads of a crew."""

    def __init__(self, file: Readable, first: int, end: int, reading: Crew) -> None:
        self._file, self._first, self._end, self._crew = file, first, end, reading
        self._last: Future[bytes] | None = None

    async def read(self) -> AsyncIterator[bytes]:
        while self._first < self._end:
            count = min(_PIECE_BYTES, self._end - self._first)
            self._last = self._crew.hand(partial(_piece, self._file, self._first, count))
            piece = await wrap_future(self._last)
            self._first += len(piece)
            yield piece

    def close(self) -> None:
        """Once no thread reads it any more: another file could have its number by then."""
        if self._last is None:
            self._file.close()
        else:
            self._last.cancel()
            self._last.add_done_callback(lambda _: self._file.close())


def _piece(file: Readable, first: int, count: int) -> bytes:
    data = os.pread(file.descriptor, count, first)
    if not data or not file.fits():
        raise ChangedError
    return data


class ChangedError(Exception):
    """Somebody writes into a file that is being sent: the rest of it must not look like its end."""
