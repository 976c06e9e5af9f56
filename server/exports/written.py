"""An answer as the text of a file, piece by piece."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Literal

from core.query import Query
from server.exports import edl, table
from server.exports.moments import facts_of, listed, placed
from server.searcher import Answer
from server.shown import Shown, around, results_of

Format = Literal["json", "csv", "edl"]
_PIECE = 1 << 16  # characters
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Export:
    """What kind of file, and for whose machine."""

    format: Format
    media_prefix: str = ""
    rate: Fraction | None = None  # of an EDL; None: what most of its files have

    def file_name(self, query: Query) -> str:
        """Of letters and digits alone, whatever was asked for."""
        plain = unicodedata.normalize("NFKD", title_of(query)).encode("ascii", "ignore").decode().lower()
        words = "".join(each if each.isalnum() else " " for each in plain).split()
        return f"{'-'.join(words)[:_LONGEST_NAME].strip('-') or 'cinedex'}.{self.format}"


def title_of(query: Query) -> str:
    """The texts that were asked for."""
    steps = [("not " if step.absent else "", step.parts) for step in query.steps] or [("", query.parts)]
    said = (mark + ", ".join(part.text for part in parts if part.text) for mark, parts in steps)
    return ", then ".join(text for text in said if text)


def written(answer: Answer, export: Export, body: str = "") -> Iterator[bytes]:
    """The file; what cannot be written so is an ApiError before it begins. body: a hash of what was asked,
    for the cursor."""
    results = map(partial(placed, prefix=export.media_prefix), results_of(answer))
    if export.format == "json":
        return _gathered(_json(answer, results, body))
    moments = listed(results, facts_of(answer))
    if export.format == "csv":
        return _gathered(table.lines(moments, _columns(answer)))
    return _gathered(edl.lines(moments, title_of(answer.query), export.rate))


def _json(answer: Answer, results: Iterable[Shown], body: str) -> Iterator[str]:
    """As POST /search answers."""
    yield '{"results":['
    for number, result in enumerate(results):
        yield ("," if number else "") + result.model_dump_json()
    yield "]," + around([], answer, body).model_dump_json(exclude={"results"})[1:]


def _columns(answer: Answer) -> list[str]:
    """The user's own, of all sources that were found."""
    if "metadata" not in answer.query.include:
        return []
    infos = {found.info.id: found.info for group in answer.results for found in group}
    return sorted({name for info in infos.values() for name in info.columns})


def _gathered(texts: Iterator[str]) -> Iterator[bytes]:
    """In pieces that are worth sending."""
    held, size = [], 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= _PIECE:
            yield _encoded(held)
            held, size = [], 0
    yield _encoded(held)


def _encoded(texts: list[str]) -> bytes:
    return "".join(texts).encode(errors="replace")
