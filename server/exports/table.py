"""Moments as CSV for spreadsheets: RFC 4180, UTF-8 with its mark, and no cell that would be run."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.types import canonical
from server.exports.moments import Listed
from server.exports.timecode import Clock, Start, counted_rate

COLUMNS = (
    *("rank", "moment", "path", "start_s", "end_s", "start_timecode", "end_timecode", "frame_rate"),
    *("score", "confidence", "confidence_level", "best_s", "matched_on", "text", "approximate"),
    *("id", "video_id"),
)
MARK = "\ufeff"  # without it, Excel reads UTF-8 as something else
_RUN = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # a spreadsheet may take it for a formula
_ESCAPE = "'"


class _Line:
    """Where csv writes a line, for it to be taken."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def lines(moments: Iterable[Listed], names: Sequence[str]) -> Iterator[str]:
    """The head, then a line for each moment; names: the user's columns."""
    head, *_ = written_lines([[*COLUMNS, *(f"metadata.{name}" for name in names)]])
    yield MARK + head
    yield from written_lines([*_cells(each), *_own(each, names)] for each in moments)


def written_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Each row as a line of CSV."""
    line = _Line()
    writer = csv.writer(line, lineterminator="\r\n")
    for row in rows:
        writer.writerow(row)
        yield line.text


def _own(listed: Listed, names: Sequence[str]) -> Iterator[str]:
    metadata = listed.result.metadata
    return (cell(metadata.get(name)) for name in names)


def _cells(listed: Listed) -> list[str]:
    found, facts = listed.result, listed.facts
    rate = counted_rate(facts.frame_rate) if found.best is not None else None
    start = end = ""
    if rate is not None:
        begins = Start.of(facts.timecode, rate, Clock.of(rate))
        first = begins.clock.begun(found.start)
        start = begins.label(first)
        last = min(found.end, facts.seconds or found.end)  # subtitles may go on behind the last picture
        end = begins.label(max(first + 1, begins.clock.ended(last)))
    values = (listed.rank, listed.number, found.path, found.start, found.end, start, end, facts.frame_rate)
    worth = (found.score, found.confidence, found.confidence_level, found.best.t if found.best else None)
    said = (", ".join(found.matched_on), found.text, found.approximate, found.id, found.video_id)
    return [cell(value) for value in (*values, *worth, *said)]


def cell(value: Any) -> str:
    """A text as it is, but never as a formula; else as JSON has it; nothing for null."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return canonical(value) if isinstance(value, (dict, list, bool)) else repr(value)
    # Also before a mark that is there already, so that taking one away always gives the text back.
    return _ESCAPE + value if value.startswith((*_RUN, _ESCAPE)) else value
