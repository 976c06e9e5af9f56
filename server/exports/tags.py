"""Labels of videos as CSV: a line for each label of each video or clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.exports.table import MARK, cell, written_lines
from server.tagging import Tag

COLUMNS = ("path", "start_s", "end_s", "rank", "label", "probability", "score", "video_id")


@dataclass(frozen=True, slots=True)
class TaggedPart:
    """The labels of a stored video, or of seconds [start, end) of it."""

    video_id: str
    path: str
    start: float | None
    end: float | None
    tags: Sequence[Tag]


def lines(parts: Iterable[TaggedPart]) -> Iterator[str]:
    """The head, then a line for each label."""
    rows = (_cells(part, rank, tag) for part in parts for rank, tag in enumerate(part.tags, 1))
    head, *_ = written_lines([COLUMNS])
    yield MARK + head
    yield from written_lines(rows)


def _cells(part: TaggedPart, rank: int, tag: Tag) -> list[str]:
    values = (part.path, part.start, part.end, rank, tag.label, tag.probability, tag.score, part.video_id)
    return [cell(value) for value in values]
