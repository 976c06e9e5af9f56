"""`cursor`: where an answer ended, for whoever answers next. docs/http-api.md, "Paging"."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from core.types import canonical
from server.errors import ApiError

MAX_CURSOR = 4_096
_VERSION = 2
_MAX_NAME = 200
_MAX_SNAPSHOT = 10**12
LOOK_AT_MOST = 16_384  # rows, so that no request takes seconds
_MAX_POSITION = 4 * LOOK_AT_MOST  # no order has more: of rows, and of each kind of passages


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where in an order of results a page begins, and how many rows were looked at to make that order."""

    position: int = 0
    rows: int = 0  # 0: as many as the first page takes


FIRST = Beginning()


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the next page is of. It holds nothing that is worth forging: a number that is no snapshot of that
    hash opens nothing, and a place is one that could be paged to, for as many rows as any request."""

    collection: str
    encoder: str
    snapshot: int
    seal: str  # of that snapshot
    body: str  # a hash of the request
    position: int
    rows: int
    store: str  # the folder of what answered: several stores may be of one encoder

    @property
    def place(self) -> Beginning:
        return Beginning(self.position, self.rows)

    def token(self) -> str:
        """As it is sent."""
        return cursor_token([_VERSION, *(getattr(self, name) for name in self.__slots__)])

    @classmethod
    def read(cls, token: str) -> Self:
        """What was sent, or an ApiError."""
        held = values_of(token)
        if not _is_one(held):
            raise _no_cursor()
        return cls(*held[1:])


def cursor_token(values: Sequence[str | int]) -> str:
    """As a cursor holds them; letters as they are, so that a long path has room in an address."""
    held = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return urlsafe_b64encode(held.encode()).decode().rstrip("=")


def values_of(token: str) -> list[Any]:
    """The same back; none of what is no such token, was cut, or is spelled otherwise."""
    try:
        raw = token.encode("ascii")
        held = json.loads(urlsafe_b64decode(raw + b"=" * (-len(raw) % 4)))
        if not isinstance(held, list) or not all(isinstance(each, str | int) for each in held):
            return []
        return held if cursor_token(held) == token else []
    except (ValueError, RecursionError):
        return []


def _is_one(held: list[Any]) -> bool:
    if len(held) != 9 or held[0] != _VERSION:
        return False
    _, collection, encoder, snapshot, seal, body, position, rows, store = held
    texts, numbers = (collection, encoder, seal, body, store), (snapshot, position, rows)
    return (
        all(isinstance(text, str) and len(text) <= _MAX_NAME for text in texts)
        and all(type(number) is int for number in numbers)
        and 0 < snapshot <= _MAX_SNAPSHOT
        and 0 < position <= _MAX_POSITION
        and 0 <= rows <= LOOK_AT_MOST
    )


def _no_cursor() -> ApiError:
    return ApiError(400, "cursor: is none that this server has given.", "cursor")


def body_hash(body: Any) -> str:
    """Of what was asked, but for where it goes on and how many results at a time."""
    return blake2b(canonical(body).encode(), digest_size=12).hexdigest()
