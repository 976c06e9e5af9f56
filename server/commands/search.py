"""`cinedex search`: one question, asked of a store or of a server."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import CliPositionalArg

from core.collections import Library
from core.config import Settings, run
from core.errors import Error, StoreError, UsageError
from core.logs import plain
from core.store import Store
from index.device import chosen_device
from server.asked import refused
from server.errors import ApiError
from server.trust import distrusted, misfit

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder

log = logging.getLogger(__name__)
_GAP = "  "


def _confidence(value: Any) -> Any:
    """A level as it is, a number from its text."""
    if value in ("high", "medium", "low"):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise refused("must be a number from 0 to 1, high, medium or low")
    return number


LeastConfidence = Annotated[float | Literal["high", "medium", "low"], BeforeValidator(_confidence)]


class SearchSettings(Settings):
    """Find moments of videos, or library texts."""

    query: CliPositionalArg[str] = Field("", description="what is looked for")
    video: str = Field("", description="a stored video's id instead of, or beside, a text")
    top: int = Field(5, ge=1, le=1_000, description="results")
    level: Literal["frame", "clip", "video"] | None = Field(None, description="which rows are searched")
    mode: Literal["visual", "text", "hybrid"] | None = Field(
        None, description="vectors, words, or both; by default both where there are timed lines"
    )
    target: Literal["videos", "texts"] = Field("videos", description="moments of videos, or library texts")
    filter: str | None = Field(None, description="what is looked through, as JSON: docs/http-api.md, Filter")
    weigh_frames: bool = Field(False, description="order clips by their pictures, weighted by the query")
    min_score: float | None = Field(None, ge=-1e9, le=1e9, description="leave out what scores less")
    min_confidence: LeastConfidence | None = Field(
        None, description="leave out what is less sure: a number from 0 to 1, high, medium or low"
    )
    exact: bool = Field(False, description="compare with every row instead of searching the index")
    effort: int | None = Field(
        None, ge=1, le=1_000_000, description="lists to probe; else as many as were found to be enough"
    )
    collection: str | None = Field(None, description="which one; else `default` or the first")
    encoder: str | None = Field(None, description="which of the collection's; else the first")
    store: Path | None = Field(None, description="a store's folder, instead of a library")
    trust_import: list[str] = Field([], description="encoders whose imported vectors are taken for theirs")
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="what searches; cuda: rows are copied to the GPU first"
    )
    server: str = Field("", description="ask a running server, http://HOST:PORT")
    json_output: bool = Field(False, alias="json", description="the whole answer, as the server gives it")


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run(SearchSettings, search, argv, prog="cinedex search")


def search(settings: SearchSettings) -> int:
    """Ask, and show the answer."""
    logging.getLogger().setLevel(logging.WARNING)
    _refuse_idle_flags(settings)
    body = body_of(settings)
    answer = from_server(settings.server, body) if settings.server else from_store(settings, body)
    if answer["query_truncated"]:
        log.warning("the query is longer than the encoder reads, and was cut")
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(as_json(answer, encoding) if settings.json_output else table(answer, encoding))
    return 0


def _refuse_idle_flags(settings: SearchSettings) -> None:
    """--data is for every verb, and may well be set where a server is asked; the others are meant."""
    if settings.store is not None and settings.server:
        raise UsageError("--server and --store exclude each other: one of them answers.")
    if settings.device != "cpu" and settings.server:
        raise UsageError("--server and --device exclude each other: a server has its own --device.")
    if settings.store is not None and settings.collection is not None:
        raise UsageError("--store and --collection exclude each other: a store is asked by itself.")


def body_of(settings: SearchSettings) -> dict[str, Any]:
    """What POST /search would be sent."""
    parts = [{"text": settings.query}] if settings.query else []
    parts += [{"video_id": settings.video}] if settings.video else []
    if not parts:
        raise UsageError("Nothing to look for is named: a text, or --video ID.")
    return {
        "query": parts,
        "limit": settings.top,
        "level": settings.level,
        "mode": settings.mode,
        "target": settings.target,
        "filter": _filter(settings.filter),
        "collection": settings.collection,
        "encoder": settings.encoder,
        "weigh_frames": settings.weigh_frames,
        "min_score": settings.min_score,
        "min_confidence": settings.min_confidence,
        "exact": settings.exact,
        "effort": settings.effort,
    }


def _filter(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"filter {text[:60]!r} is not JSON: {error}.", "filter") from error


def from_server(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """A server's answer."""
    import cinedex_client

    try:
        with cinedex_client.Client(url) as client:
            return client.search(**body).model_dump()
    except cinedex_client.ApiError as error:
        raise ApiError(error.status, error.message) from error
    except cinedex_client.ClientError as error:
        raise Error(str(error)) from error


def from_store(settings: SearchSettings, body: dict[str, Any]) -> dict[str, Any]:
    """The same answer, straight from the store."""
    from index.view import view_of
    from server.refusals import first, sentence
    from server.schemas.search import SearchAsked
    from server.searcher import Searcher
    from server.shown import query_of, shown

    try:
        asked = SearchAsked.model_validate(body)
    except ValidationError as error:
        found = first(error.errors())
        raise UsageError(sentence({**found, "loc": ("body", *found["loc"])}, SearchAsked)[0]) from error
    device = chosen_device(settings.device)
    collection, root = chosen(settings)
    store = Store.open(root)
    if settings.encoder not in (None, store.spec.name):
        raise UsageError(f"--store {root} holds vectors of {store.spec.name}, not of {settings.encoder!r}.")
    encoder = _trusted(store, settings.trust_import)
    answer = Searcher(collection, encoder, view_of(store, device)).answer(query_of(asked))
    return shown(answer).model_dump()


def _trusted(store: Store, trusted: Sequence[str]) -> Encoder:
    """The encoder that answers for a store, or a StoreError."""
    from server.library import load_encoder

    if why := distrusted(store.spec, trusted):
        raise StoreError(why)
    encoder = load_encoder(store.spec)
    if why := misfit(store.spec, encoder.spec):
        raise StoreError(why)
    return encoder


def chosen(settings: SearchSettings) -> tuple[str, Path]:
    """The collection's name and the store's folder."""
    if settings.store is not None:
        return "default", settings.store
    library = Library(settings.data)
    held = library.collections()
    if not held:
        raise StoreError(f"{settings.data} holds no collection; `extract --videos DIR` makes one.")
    name = settings.collection or ("default" if "default" in held else next(iter(held)))
    if name not in held:
        raise UsageError(f"There is no collection {name!r} in {settings.data}; there are {', '.join(held)}.")
    paths = [library.store_path(slug) for slug in held[name]]
    if settings.encoder is None:
        return name, paths[0]
    for path in paths:
        if Store.open(path).spec.name == settings.encoder:
            return name, path
    raise UsageError(f"The collection {name} has no encoder {settings.encoder!r}.")


def as_json(answer: dict[str, Any], encoding: str) -> str:
    """The answer; escaped where the terminal has not all characters."""
    is_ascii = encoding.lower().replace("-", "") != "utf8"
    return json.dumps(answer, indent=1, ensure_ascii=is_ascii) + "\n"


def table(answer: dict[str, Any], encoding: str) -> str:
    """Time range, score, confidence, path, what words matched, and the text or line; a line a moment."""
    moments = [moment for result in answer["results"] for moment in result.get("moments", [result])]
    if not moments:
        return "Nothing is found.\n"
    rows = [["time", "score", "confidence", "path"], *(_row(moment) for moment in moments)]
    if all(moment.get("confidence_level") is None for moment in moments):  # nothing is calibrated
        rows = [[time, score, *rest] for time, score, _, *rest in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    pad = (str.ljust, str.rjust, str.ljust)
    lines = [
        _GAP.join(
            [*(p(c, w) for p, c, w in zip(pad, row, widths, strict=False)), *row[len(widths) :]]
        ).rstrip()
        for row in rows
    ]
    shown = "".join(line + "\n" for line in lines)
    if answer.get("confident") is False:
        shown += "Nothing here is confident: what is asked for is likely not in this library.\n"
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        return shown.replace("–", "-").encode(encoding, "replace").decode(encoding)
    return shown


def _row(moment: dict[str, Any]) -> list[str]:
    is_whole = moment["best"] is None
    about = "~" if moment.get("approximate") else ""
    time = "" if is_whole else f"{about}{clock(moment['start'])} – {clock(moment['end'])}"
    score = "" if moment["score"] is None else f"{moment['score']:.3f}"
    return [time, score, moment.get("confidence_level") or "", plain(moment["path"]), *_told(moment)]


def _told(moment: dict[str, Any]) -> list[str]:
    """What matched, where it is not just what is seen or a library text, and the words that did."""
    matched = moment.get("matched_on", [])
    on = "" if matched in ([], ["visual"], ["text"]) else ", ".join(matched)
    text = plain(moment["text"]) if moment["text"] else ""
    told = f"{on}: {text}" if on and text else on or text
    return [told] if told else []


def clock(seconds: float) -> str:
    """mm:ss.mmm; more than an hour is more than 60 minutes."""
    sign, ms = "-" if seconds < 0 else "", round(abs(seconds) * 1000)
    return f"{sign}{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
