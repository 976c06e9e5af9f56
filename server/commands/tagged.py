"""Labels of videos on stdout, as they come: for people, for programs, for spreadsheets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

from core.logs import plain
from extractor.encoders import notice_of
from extractor.encoders.base import unknown_to
from server.commands.columns import aligned, clock

if TYPE_CHECKING:
    from server.exports.tags import TaggedPart
    from server.labels import Labelling
    from server.searcher import Searcher

_AT_ONCE = 100  # rows that are shown beneath each other


def show_table(parts: Iterator[TaggedPart]) -> None:
    """Path, time, and labels with their shares; a line for each."""
    encoding, is_any = sys.stdout.encoding or "utf-8", False
    while some := [*islice(parts, _AT_ONCE)]:
        is_any = True
        rows = [[plain(part.path), *_time(part), _labels(part)] for part in some]
        sys.stdout.write(aligned(rows, (str.ljust,) * (len(rows[0]) - 1), encoding))
    if not is_any:
        sys.stdout.write("No video is there to have labels.\n")


def show_json(parts: Iterable[TaggedPart], searcher: Searcher, labelling: Labelling) -> None:
    """What POST /tag answers, a line for each, with what it is about."""
    is_ascii = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    around = {
        "encoder": searcher.name,
        "encoder_notice": notice_of(searcher.encoder.spec.name),
        "snapshot": searcher.view.number,
        "query_truncated": labelling.vectors()[1],
        "query_unknown": unknown_to(searcher.encoder, labelling.vocabulary.labels),
    }
    for part in parts:
        which = {"video_id": part.video_id, "path": part.path, "start": part.start, "end": part.end}
        labels = [asdict(tag) for tag in part.tags]
        line = json.dumps({**which, "labels": labels, **around}, ensure_ascii=is_ascii)
        sys.stdout.write(f"{line}\n")


def show_csv(parts: Iterable[TaggedPart]) -> None:
    """Byte by byte as a file is to be."""
    from server.exports import tags

    for line in tags.lines(parts):
        sys.stdout.buffer.write(line.encode(errors="replace"))


def _time(part: TaggedPart) -> list[str]:
    if part.start is None or part.end is None:
        return []
    return [f"{clock(part.start)} – {clock(part.end)}"]


def _labels(part: TaggedPart) -> str:
    return ", ".join(f"{plain(tag.label)} {tag.probability:.3f}" for tag in part.tags)
