"""What other tools call things, as a store has it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import isfinite
from typing import Any
from urllib.parse import urlsplit


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values as JSON has them, less those that are missing."""
    found = {name: _plain(value) for name, value in row.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if isfinite(value) else None
        case str():
            return value.encode(errors="replace").decode()  # half a surrogate pair is no character
        case bytes():
            return value.decode(errors="replace")
        case dict():
            return plain(value)
        case list() | tuple():
            return [_plain(each) for each in value]
    return str(value)  # dates, decimals


def shorn(location: str) -> str:
    """A path as it is; a URL without user, password and query, which may be secret."""
    if "://" not in location:
        return location
    try:
        parts = urlsplit(location)
    except ValueError:
        return location.partition("?")[0].rpartition("@")[2]
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def as_path(name: str) -> bytes:
    """As a file system has it; what no file can be called becomes a question mark."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return name.encode(errors="replace")
