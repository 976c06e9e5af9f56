"""A stored row by its id, as answers have it."""

from __future__ import annotations

import re
from dataclasses import replace
from zlib import crc32

from core.query import Part, Search
from core.types import Float32Array, Kind, Segment
from server.errors import ApiError

_ID = re.compile(
    r"(?P<source>[^/]+)/(?P<kind>frame|clip|text)/(?P<ms>-?\d{1,15})(?:-(?P<line>\d{1,10}))?", re.A
)


def line_number(text: str) -> int:
    """Tells lines of a video that begin together apart, and is the same in every snapshot."""
    return crc32(text.encode())


def row_of(part: Part, view: Search) -> tuple[Float32Array, Part]:
    """Its vector, and the seconds of a source that it stands for; a library text is whole."""
    field = f"{part.at}.id"
    match = _ID.fullmatch(part.row)
    if match is None or (match["kind"] == "text") != (match["line"] is not None):
        forms = "VIDEO/clip/MS, VIDEO/frame/MS and SOURCE/text/MS-LINE are ids of rows"
        raise ApiError(400, f"{field}: {part.row!r} is no id of a row; {forms}.", field)
    source = match["source"]
    kind: Kind = match["kind"]  # type: ignore[assignment]  # by the pattern
    rows, vectors = view.vectors(source, kind)
    for row, vector in zip(rows, vectors, strict=True):
        if round(row.start * 1000) == int(match["ms"]) and _is_line(row, match["line"]):
            return vector, _told(part, row)
    raise ApiError(404, f"{field}: there is no row {part.row!r} with a vector in this collection.", field)


def _is_line(row: Segment, line: str | None) -> bool:
    if line is None:
        return True
    return int(line) == (0 if row.source.startswith("t-") else line_number(row.text))


def _told(part: Part, row: Segment) -> Part:
    if row.source.startswith("t-"):
        return replace(part, source=row.source)
    return replace(part, source=row.source, start=row.start, end=row.end)
