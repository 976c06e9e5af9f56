"""`cinedex segment`: the seconds of a stored video by labels, or when each step of a plan is done."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core.config import Settings, run_verb
from core.errors import UsageError
from core.logs import plain
from index.device import chosen_device
from server.commands.columns import aligned, clock
from server.commands.labelled import labels_in
from server.commands.straight import searcher_by
from server.schemas.tag import MAX_LABELS

if TYPE_CHECKING:
    from server.searcher import Searcher
    from server.segmenting import Segmented, Sort

log = logging.getLogger(__name__)


class SegmentSettings(Settings):
    """Say which seconds of a stored video are about which labels, or when each step of a plan is done."""

    video: CliPositionalArg[str] = Field("", description="its id, or its path as `search` shows it")
    labels: Path | None = Field(None, description="a text file, a label a line: seconds are sorted by them")
    steps: Path | None = Field(
        None, description="a text file, a step a line: each gets one second, in this order"
    )
    min_score: float | None = Field(
        None, ge=-1e9, le=1e9, description="what a label must exceed; else what two labels score at most"
    )
    start: float | None = Field(None, ge=0, le=1e9, description="only from this second")
    end: float | None = Field(None, gt=0, le=1e9, description="and only to this one")
    collection: str | None = Field(None, description="which one; else `default` or the first")
    encoder: str | None = Field(None, description="which of the collection's; else the first")
    store: Path | None = Field(None, description="a store's folder, instead of a library")
    device: Literal["cpu", "cuda", "auto"] = Field("cpu", description="what holds the rows")
    json_output: bool = Field(False, alias="json", description="one JSON object instead of lines")


@dataclass(frozen=True, slots=True)
class SortedBy:
    """What the seconds are sorted by."""

    sort: Sort
    texts: tuple[str, ...]


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(SegmentSettings, segment, argv, prog="cinedex segment")


def segment(settings: SegmentSettings) -> int:
    """Show what was found."""
    logging.getLogger().setLevel(logging.WARNING)
    asked = _asked(settings)
    chosen = (settings.store, settings.collection, settings.encoder)
    searcher = searcher_by(settings.data, chosen, [], chosen_device(settings.device))
    found = _found(searcher, settings, asked)
    if found.truncated:
        log.warning("some texts are longer than the encoder reads, and were cut")
    sys.stdout.write(json.dumps(asdict(found), indent=1) + "\n" if settings.json_output else table(found))
    return 0


def _asked(settings: SegmentSettings) -> SortedBy:
    """Mistakes that can be told before anything is opened."""
    if not settings.video:
        raise UsageError("Name a stored video: its id, or its path as `search` shows it.")
    if (settings.labels is None) == (settings.steps is None):
        raise UsageError("Give either --labels FILE or --steps FILE: what the seconds are sorted by.")
    if settings.steps is not None and settings.min_score is not None:
        raise UsageError("--min-score goes with --labels: every step has its second, whatever it scores.")
    if settings.store is not None and settings.collection is not None:
        raise UsageError("--store and --collection exclude each other: a store is asked by itself.")
    if None not in (settings.start, settings.end) and settings.end <= settings.start:  # type: ignore[operator]
        raise UsageError(f"--end {settings.end:g} must be above --start {settings.start:g}.")
    if settings.labels is not None:
        return _few("labels", settings.labels)
    assert settings.steps is not None
    return _few("steps", settings.steps)


def _few(sort: Sort, file: Path) -> SortedBy:
    texts = labels_in(file, sort)
    if len(texts) > MAX_LABELS:
        raise UsageError(f"{len(texts)} {sort} are too many; {MAX_LABELS} at most can be.", sort)
    return SortedBy(sort, tuple(texts))


def _found(searcher: Searcher, settings: SegmentSettings, asked: SortedBy) -> Segmented:
    from server.segmenting import segmented, video_of
    from server.stored import Named

    named = Named(video_of(searcher, settings.video), settings.start, settings.end)
    return segmented(searcher, named, asked.sort, asked.texts, settings.min_score)


def table(found: Segmented) -> str:
    """A line a segment: its time range, score and label."""
    if not found.segments:
        return f"No second scores above {found.min_score:.3f} for a label; --min-score takes another bar.\n"
    rows = [
        (f"{clock(each.start)} – {clock(each.end)}", f"{each.score:.3f}", plain(each.label))
        for each in found.segments
    ]
    return aligned(rows, (str.ljust, str.rjust), sys.stdout.encoding or "utf-8")
