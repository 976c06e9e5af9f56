"""JSON whose objects have each field once: of two values one would be taken, and nobody told."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

_SHOWN = 200  # characters of a name
NOWHERE = -1  # of a mistake of which the reader does not tell where it is


class Twice(json.JSONDecodeError):
    """A field has two values."""

    def __init__(self, name: str) -> None:
        super().__init__(f"has the field {name[:_SHOWN]!r} twice in one object", "", NOWHERE)

    def __str__(self) -> str:
        return self.msg


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, as json.loads has it made."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Twice(next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1))
    return found
