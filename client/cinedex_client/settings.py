"""Where a server is, and what it is told with every request."""

from __future__ import annotations

import os
from typing import Any, Protocol

import httpx

from cinedex_client.errors import ClientError

DEFAULT_URL = "http://127.0.0.1:8000"
KEY_VARIABLE = "CINEDEX_KEY"
_MOST_TO_CONNECT_S = 10.0
__version__ = "0.1.0"


class Paged(Protocol):
    """An answer that may have another behind it."""

    @property
    def next_cursor(self) -> str | None: ...


def http_settings(url: str, key: str | None, timeout_s: float) -> dict[str, Any]:
    """What httpx is made with."""
    headers = {"user-agent": f"cinedex-client/{__version__}"}
    if key := _key(key):
        headers["authorization"] = f"Bearer {key}"
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _MOST_TO_CONNECT_S))
    return {"base_url": _url(url), "timeout": timeout, "headers": headers}


def _key(given: str | None) -> str:
    """The key; an empty one says that there is none, whatever the environment has."""
    key = (os.environ.get(KEY_VARIABLE, "") if given is None else given).strip()
    if not all("!" <= character <= "~" for character in key):
        raise ClientError("The key has characters that no key has.")
    return key


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ClientError(f"{text!r} is no URL: {error}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ClientError(f"{text!r} is no server's URL; {DEFAULT_URL} is one.")
    return url
