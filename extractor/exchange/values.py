"""What other tools call things, as a store has it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from extractor.url import shorn


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values as JSON has them, less those that are missing and the secrets of addresses."""
    found = {name: _plain(value) for name, value in row.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if isfinite(value) else None
        case str():
            return shorn(value.encode(errors="replace").decode())  # half a surrogate pair is no character
        case bytes():
            return shorn(value.decode(errors="replace"))
        case dict():
            return plain(value)
        case list() | tuple():
            return [_plain(each) for each in value]
    return str(value)  # dates, decimals


def as_path(name: str) -> bytes:
    """As a file system has it, of a URL host and path; what no file can be called becomes a question mark."""
    name = re.sub(r"^[a-zA-Z][a-zA-Z0-9+.-]+://", "", shorn(name))
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return name.encode(errors="replace")
