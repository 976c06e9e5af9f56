"""Kinds of fields that several requests have."""

from __future__ import annotations

import base64
import string
from array import array
from hashlib import blake2b
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from server.asked import is_unicode, refused

MAX_TEXT = 2_000
MAX_URL = 2_048
MAX_DIM = 65_536
MAX_PREFIX = 1_000
_SPACE = string.whitespace.encode()


def _is_text(value: str) -> str:
    if not value.strip():
        raise refused("must be a text, not only white space")
    return is_unicode(value)


def _of_base64(value: Any) -> Any:
    if not isinstance(value, str):
        raise refused("must be base64, in a string")
    try:
        spaceless = value.encode("ascii").translate(None, _SPACE)  # `base64` breaks its lines
        return base64.b64decode(spaceless, validate=True)
    except ValueError:
        raise refused("must be base64, without the prefix of a data: URL") from None


def _is_url(value: str) -> str:
    import httpx  # which fetches, and knows more hosts that are none: 999.1.1.1, xn--a

    try:
        url = urlsplit(is_unicode(value))
        is_one = _is_fetchable(url) and bool(httpx.URL(value).host)
    except (ValueError, httpx.InvalidURL):
        is_one = False
    if not is_one:
        raise refused("must be an http or https URL, without a user, spaces or a fragment")
    return value


def _is_fetchable(url: SplitResult) -> bool:
    is_plain = all(33 <= ord(c) <= 126 for c in url.geturl())
    port_is_one = url.port is None or url.port > 0  # a port that is no number raises
    return bool(
        is_plain
        and port_is_one
        and url.scheme in ("http", "https")
        and url.hostname
        and "@" not in url.netloc
        and not url.fragment
    )


def _hashed(value: bytes | list[float]) -> str:
    """What a cursor is of is told by a hash of the body, and what is large in it by its own."""
    return blake2b(value if isinstance(value, bytes) else array("d", value), digest_size=16).hexdigest()


def _is_no_zero(value: list[float]) -> list[float]:
    if not any(value):
        raise refused("must not be all zeros")
    return value


def _is_printable(value: str) -> str:
    if not value.isprintable():
        raise refused("must be a path or an address, without line breaks and the like")
    return value


Hashed = PlainSerializer(_hashed, return_type=str, when_used="json")
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_is_text)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(ge=0)]
Photo = Annotated[
    bytes,
    BeforeValidator(_of_base64),
    Hashed,
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL), AfterValidator(_is_url)]
Numbers = Annotated[list[float], Field(min_length=1, max_length=MAX_DIM, fail_fast=True)]
Vector = Annotated[Numbers, AfterValidator(_is_no_zero), Hashed]
MediaPrefix = Annotated[str, Field(max_length=MAX_PREFIX), AfterValidator(_is_printable)]
Rate = Literal["24000/1001", "24", "25", "30000/1001", "30", "48000/1001", "48", "50", "60000/1001", "60"]
