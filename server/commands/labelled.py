"""A file of labels, or of the steps of a plan, one a line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from core.errors import UsageError
from server.schemas.fields import MAX_TEXT

_SHOWN = 60  # characters of a label that is told of
_MOST_BYTES = 80 << 20  # 10,000 labels of 2,000 characters; more is something else, and may have no end


def labels_in(path: Path, what: Literal["labels", "steps"] = "labels") -> list[str]:
    """The labels, or the steps, which may come twice, without the white space around them; or a UsageError
    that names the line."""
    lines, one = _text(path, what).split("\n"), what.removesuffix("s")
    if not lines[-1].strip():
        lines.pop()
    if not lines:
        raise UsageError(f"{path} holds no {one}; each line is one.", what)
    found, first = list[str](), dict[str, int]()
    for number, line in enumerate(lines, 1):
        label = line.strip()
        where = f"{path}, line {number},"
        if not label:
            raise UsageError(f"{where} is empty; each line is a {one}.", what)
        if len(label) > MAX_TEXT:
            message = f"{where} has {len(label)} characters; a {one} has {MAX_TEXT} at most."
            raise UsageError(message, what)
        if label in first and what == "labels":
            message = f"{where} has {label[:_SHOWN]!r}, as line {first[label]} has; no two are alike."
            raise UsageError(message, what)
        first[label] = number
        found.append(label)
    return found


def _text(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            held = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{what} {str(path)!r} cannot be read: {error.strerror}.", what) from error
    if len(held) > _MOST_BYTES:
        one = what.removesuffix("s")
        message = f"{path} has more than {_MOST_BYTES >> 20} MiB; it is no file with a {one} a line."
        raise UsageError(message, what)
    try:
        return held.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = held[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}, is not UTF-8; save the file as UTF-8.", what) from error
