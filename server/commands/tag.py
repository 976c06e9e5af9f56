"""`cinedex tag`: which of some labels each stored video, or each clip of it, is most like."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from core.config import Settings, run_verb
from core.errors import UsageError
from extractor.encoders.base import unknown_to
from server.commands.labelled import labels_in
from server.commands.straight import searcher_by
from server.commands.tagged import show_csv, show_json, show_table
from server.commands.unknown import told_unknown
from server.schemas.fields import Text
from server.schemas.tag import MAX_LABELS, MAX_TEMPLATES, TagAsked, Template

if TYPE_CHECKING:
    from index.catalogue import Listed
    from server.exports.tags import TaggedPart
    from server.labels import Labelling
    from server.searcher import Searcher

log = logging.getLogger(__name__)
_TOLD_S = 10.0  # between two lines about labels that are being encoded
_AT_ONCE = 100  # videos that are looked up


class TagSettings(Settings):
    """Say which of some labels each stored video, or each clip of it, is most like."""

    labels: Path | None = Field(None, description="a file with a label a line, UTF-8")
    choice: list[Text] = Field(
        [], max_length=MAX_LABELS, description="a sentence to choose, as it is, in place of labels; and again"
    )
    template: list[Template] = Field(
        ["a video of {}"],
        max_length=MAX_TEMPLATES,
        description="a sentence with {} for the label; and again: a label is the mean of them. {}: as it is",
    )
    level: Literal["video", "clip", "frame"] = Field("video", description="what has labels: each of these")
    top: int = Field(3, ge=1, le=MAX_LABELS, description="labels, the best")
    prefix: str = Field("", description="only videos whose path begins so, as films/2024/")
    video: list[str] = Field([], description="only the stored video of that id; and again")
    collection: str | None = Field(None, description="which one; else `default` or the first")
    encoder: str | None = Field(None, description="which of the collection's; else the first")
    store: Path | None = Field(None, description="a store's folder, instead of a library")
    trust_import: list[str] = Field([], description="encoders whose imported vectors are taken for theirs")
    json_output: bool = Field(
        False, alias="json", description="a JSON object a line for each, as the server answers"
    )
    export: Literal["csv"] | None = Field(None, description="as a table for spreadsheets, a row a label")


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(TagSettings, tag, argv, prog="cinedex tag")


def tag(settings: TagSettings) -> int:
    """Encode the labels, and go through the videos."""
    from server.labels import Labelling, Vocabulary, label_cache

    _refuse_idle_flags(settings)
    asked = _asked(settings)
    searcher = _searcher(settings)
    videos = _videos(settings, searcher)
    labelling = Labelling(Vocabulary(tuple(asked.labels), tuple(asked.templates)), label_cache())
    while not labelling.advance(searcher.encoder, _TOLD_S):
        log.info("encoding labels done=%d of=%d", labelling.done, len(asked.labels))
    if labelling.vectors()[1]:
        log.warning("a label is longer than the encoder reads, and was cut")
    if unknown := unknown_to(searcher.encoder, labelling.vocabulary.labels):
        log.warning(told_unknown(unknown))
    parts = _parts(settings, searcher, labelling, videos)
    if settings.export:
        show_csv(parts)
    elif settings.json_output:
        show_json(parts, searcher, labelling)
    else:
        show_table(parts)
    return 0


def _refuse_idle_flags(settings: TagSettings) -> None:
    if settings.labels is None and not settings.choice:
        raise UsageError("No label is named: --labels FILE has one a line, --choice TEXT is one.")
    if settings.labels is not None and settings.choice:
        raise UsageError("--labels and --choice exclude each other: choices are labels as they are.")
    if settings.choice and settings.is_flag("template"):
        raise UsageError("--choice and --template exclude each other: choices are taken as they are.")
    if twice := [text for text, count in Counter(settings.choice).items() if count > 1]:
        raise UsageError(f"choice {twice[0][:60]!r} is given twice; no two are alike.", "choice")
    if settings.video and settings.prefix:
        raise UsageError("--video and --prefix exclude each other: an id names one video.")
    if settings.export and settings.json_output:
        raise UsageError("--export and --json exclude each other: each is a form of its own.")
    if settings.store is not None and settings.collection is not None:
        raise UsageError("--store and --collection exclude each other: a store is asked by itself.")


def _asked(settings: TagSettings) -> TagAsked:
    """As POST /tag would be asked, with its bounds."""
    from server.refusals import sentence

    labels = settings.choice if settings.labels is None else labels_in(settings.labels)
    templates = ["{}"] if settings.choice else settings.template
    try:
        return TagAsked(video_id="each", labels=labels, templates=templates)
    except ValidationError as error:
        found = error.errors()[0]
        raise UsageError(sentence({**found, "loc": ("body", *found["loc"])}, TagAsked)[0]) from error


def _searcher(settings: TagSettings) -> Searcher:
    chosen = (settings.store, settings.collection, settings.encoder)
    return searcher_by(settings.data, chosen, settings.trust_import, "cpu")


def _videos(settings: TagSettings, searcher: Searcher) -> Iterable[Listed]:
    """Those that are named, or all that there are, by path."""
    if settings.video:
        return [_named(searcher, id) for id in settings.video]
    if settings.prefix:
        _require_some(searcher, settings.prefix)
    return _all_videos(searcher, settings.prefix)


def _require_some(searcher: Searcher, prefix: str) -> None:
    from index.catalogue import page

    if not page(searcher.view, [prefix], None, 1).videos:
        raise UsageError(f"prefix {prefix[:200]!r}: no video has a path that begins so.", "prefix")


def _named(searcher: Searcher, id: str) -> Listed:
    from index.catalogue import listed
    from server.opened import require

    require(searcher, id)
    found = listed(searcher.view, id)
    if found is None:
        raise UsageError(f"video {id!r} is a text, not a video.", "video")
    return found


def _all_videos(searcher: Searcher, prefix: str) -> Iterator[Listed]:
    from index.catalogue import page

    behind, is_last = None, False
    while not is_last:
        some = page(searcher.view, [prefix], behind, _AT_ONCE)
        yield from some.videos
        behind, is_last = some.videos[-1].key if some.videos else None, some.is_last


def _parts(
    settings: TagSettings, searcher: Searcher, labelling: Labelling, videos: Iterable[Listed]
) -> Iterator[TaggedPart]:
    """Each video, or each of its rows of that kind, with its labels; what has none is counted."""
    from server.exports.tags import TaggedPart
    from server.stored import Named
    from server.tagging import tagged, tagged_rows

    without = 0
    for video in videos:
        id = video.info.id
        path = video.path or (video.info.paths[0] if video.info.paths else "")
        has_rows = any(video.rows.values()) if settings.level == "video" else video.rows[settings.level]
        if not has_rows:
            without += 1
        elif settings.level != "video":
            for row in tagged_rows(searcher, Named(id), settings.level, labelling, settings.top):
                yield TaggedPart(id, path, row.start, row.end, row.tags)
        elif found := tagged(searcher, Named(id), labelling, _TOLD_S):
            yield TaggedPart(id, path, None, None, found.tags[: settings.top])
    if without:
        log.warning("videos without such rows are left out level=%s videos=%d", settings.level, without)
