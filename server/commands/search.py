"""`cinedex search`: one question, asked of a store or of a server."""

from __future__ import annotations

import json
import logging
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import CliPositionalArg

from core.config import Settings, run_verb
from core.errors import Error, UsageError
from core.logs import plain
from index.device import chosen_device
from server.asked import refused
from server.commands.columns import aligned, clock, writable
from server.commands.straight import answers, exported, searcher_by
from server.commands.unknown import told_unknown
from server.doubled import Twice, named_once
from server.errors import ApiError
from server.schemas.fields import MediaPrefix, Rate

if TYPE_CHECKING:
    from cinedex_client import Client

    from server.searcher import Searcher

log = logging.getLogger(__name__)
MAX_LIMIT = 1_000  # of one answer
_KEY = "CINEDEX_KEY, or --key, says which is sent."
_MOST_S = 120.0  # until a server answers, which may have a file to decode


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

    MEANT: ClassVar[Mapping[str, str]] = {"--limit": "--top"}  # as the API has it

    query: CliPositionalArg[str] = Field("", description="what is looked for")
    image: Path | None = Field(None, description="a picture instead of, or beside, a text: JPEG, PNG, WebP")
    video: str = Field("", description="a video likewise: a file, or the id of a stored one")
    start: float | None = Field(None, ge=0, le=1e9, description="of a stored video: only from this second")
    end: float | None = Field(None, gt=0, le=1e9, description="and only to this one")
    then: list[str] = Field([], description="a text that is to come after it in the same video; and again")
    within_s: float | None = Field(None, gt=0, le=1e9, description="with --then: and so many seconds later")
    top: int = Field(5, ge=1, le=MAX_LIMIT, description="results")
    all: bool = Field(False, description="all results, however many")
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
    option: list[str] = Field([], description="one of the encoder's, NAME=VALUE, as w=0.7; and again")
    store: Path | None = Field(None, description="a store's folder, instead of a library")
    trust_import: list[str] = Field([], description="encoders whose imported vectors are taken for theirs")
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="what searches; cuda: rows are copied to the GPU first"
    )
    server: str = Field("", description="ask a running server, http://HOST:PORT")
    key: str = Field(
        "", repr=False, description="the server's key; better in CINEDEX_KEY, where nobody sees it"
    )
    json_output: bool = Field(False, alias="json", description="the whole answer, as the server gives it")
    export: Literal["csv", "edl"] | None = Field(
        None, description="as a table for spreadsheets, or an edit decision list; > FILE keeps it"
    )
    media_prefix: MediaPrefix = Field(
        "", description="with --export: put before every path, as /Volumes/media or D:\\media"
    )
    frame_rate: Rate | None = Field(
        None, description="with --export edl: of its record timecodes; else what most of its files have"
    )


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(SearchSettings, search, argv, prog="cinedex search")


def search(settings: SearchSettings) -> int:
    """Ask, and show the answer."""
    logging.getLogger().setLevel(logging.WARNING)
    _refuse_idle_flags(settings)
    with _told_by_flags(settings):
        if settings.export is not None:
            return _export(settings, settings.export)
        pages = answers_to(settings)
        answer = _whole(pages) if settings.all else next(pages)
    if answer["query_truncated"]:
        log.warning("the query is longer than the encoder reads, and was cut")
    if unknown := answer.get("query_unknown"):  # which older servers do not tell
        log.warning(told_unknown(unknown))
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(as_json(answer, encoding) if settings.json_output else table(answer, encoding))
    return 0


@contextmanager
def _told_by_flags(settings: SearchSettings) -> Iterator[None]:
    """What is wrong with a file is told of the flag that names it, not of the body it was sent in."""
    try:
        yield
    except ApiError as error:
        field = error.field or ""
        flag = {"image": "image", "file": "video"}.get(field.rpartition(".")[2])
        if flag is None:
            raise
        why = str(error).removeprefix(f"{field}: ")
        message = f"{flag} {str(getattr(settings, flag))!r}: {why}"
        raise ApiError(error.http_status, message, flag) from error


def _refuse_idle_flags(settings: SearchSettings) -> None:
    """--data is for every verb, and may well be set where a server is asked; the others are meant."""
    if settings.store is not None and settings.server:
        raise UsageError("--server and --store exclude each other: one of them answers.")
    if settings.server and not settings.server.startswith(("http://", "https://")):
        raise UsageError(f"server {settings.server!r} is no address: http://HOST:PORT is.", "server")
    if settings.device != "cpu" and settings.server:
        raise UsageError("--server and --device exclude each other: a server has its own --device.")
    if settings.all and settings.is_flag("top"):
        raise UsageError("--all and --top exclude each other: one gives every result, the other so many.")
    if settings.within_s is not None and not settings.then:
        raise UsageError("--within-s needs --then: it is the time between two things.")
    if not all(then.strip() for then in settings.then):
        raise UsageError("--then is empty; a text would be right.")
    is_timed = settings.start is not None or settings.end is not None
    if is_timed and (not settings.video or _file(settings) is not None):
        raise UsageError("--start and --end need --video with the id of a stored video.")
    if settings.store is not None and settings.collection is not None:
        raise UsageError("--store and --collection exclude each other: a store is asked by itself.")
    _refuse_idle_export(settings)


def _refuse_idle_export(settings: SearchSettings) -> None:
    if settings.export is None and (settings.media_prefix or settings.frame_rate):
        raise UsageError("--media-prefix and --frame-rate need --export: they are for a file.")
    if settings.export == "csv" and settings.frame_rate:
        raise UsageError("--frame-rate needs --export edl: a table has each file's own.")
    if settings.export == "edl" and settings.target == "texts":
        raise UsageError("--export edl lists seconds of videos, and --target texts finds texts.")
    if settings.export and settings.json_output:
        raise UsageError("--export and --json exclude each other: each is a form of its own.")
    if settings.export and settings.server and settings.all:
        most = f"--top {MAX_LIMIT}"
        raise UsageError(f"--export and --all exclude each other with --server, which gives {most} at most.")
    if settings.export and settings.server and _file(settings) is not None:
        raise UsageError("--export with --server takes the id of a stored video, and no file as --video.")


def body_of(settings: SearchSettings) -> dict[str, Any]:
    """What POST /search would be sent, or what would be sent beside a file."""
    asked = {
        "limit": MAX_LIMIT if settings.all else settings.top,
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
        **({"encoder_options": dict(map(_option, settings.option))} if settings.option else {}),
    }
    parts = [*_parts(settings)]
    if not parts and _file(settings) is None:
        raise UsageError("Nothing to look for is named: a text, --image FILE, or --video ID or FILE.")
    if not settings.then:
        return {**asked, "query": parts} if parts else asked
    steps: list[Any] = [parts, *settings.then]
    return {**asked, "sequence": [{"query": step} for step in steps], "within_s": settings.within_s}


def _parts(settings: SearchSettings) -> Iterator[dict[str, Any]]:
    if settings.query:
        yield {"text": settings.query}
    if settings.image is not None:
        yield {"image": _base64(settings.image)}
    if settings.video and _file(settings) is None:
        seconds = {"start": settings.start, "end": settings.end}
        yield {"video_id": settings.video, **{n: s for n, s in seconds.items() if s is not None}}


def _file(settings: SearchSettings) -> Path | None:
    """The file that --video names; else it is an id, or nothing."""
    named = Path(settings.video)
    if settings.video and named.is_file():
        _require_readable(named, "video")
        return named
    if settings.video and not settings.video.startswith(("v-", "t-")):
        raise UsageError(f"video {settings.video!r} is neither a file nor the id of a stored video.", "video")
    return None


def _base64(path: Path) -> str:
    _require_readable(path, "image")
    return b64encode(path.read_bytes()).decode()


def _require_readable(path: Path, field: str) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{field} {str(path)!r} cannot be read: {error.strerror}.", field) from error


def _filter(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text, object_pairs_hook=named_once)
    except Twice as error:
        raise UsageError(f"filter {text[:60]!r} {error}.", "filter") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"filter {text[:60]!r} is not JSON: {error}.", "filter") from error


def _option(text: str) -> tuple[str, float | bool | str]:
    """Its name and its value: a number, true or false, or a text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"option {text[:60]!r} must be NAME=VALUE, as w=0.7.", "option")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        number = float(value)
    except ValueError:
        return name, value
    return name, number if isfinite(number) else value  # JSON has no others


def answers_to(settings: SearchSettings) -> Iterator[dict[str, Any]]:
    """A server's, or the same straight from the store; of all pages as far as they are wanted."""
    body, file = body_of(settings), _file(settings)
    if settings.server:
        return from_server(settings, body, file)
    return answers(_searcher(settings), body, file)


def _searcher(settings: SearchSettings) -> Searcher:
    """What answers without a server."""
    chosen = (settings.store, settings.collection, settings.encoder)
    return searcher_by(settings.data, chosen, settings.trust_import, chosen_device(settings.device))


def from_server(
    settings: SearchSettings, body: dict[str, Any], file: Path | None
) -> Iterator[dict[str, Any]]:
    """A server's answers, page by page."""
    with _asking(settings) as client:
        while True:
            answer = client.search(**body) if file is None else client.upload(file, **body)
            yield answer.model_dump()
            if answer.next_cursor is None:
                return
            body = {**body, "cursor": answer.next_cursor}


@contextmanager
def _asking(settings: SearchSettings) -> Iterator[Client]:
    """A client of the server; what goes wrong with it is an error of ours."""
    import cinedex_client

    try:
        with cinedex_client.Client(settings.server, key=settings.key, timeout_s=_MOST_S) as client:
            yield client
    except cinedex_client.ApiError as error:
        how = f" {_KEY}" if error.status == 401 else ""
        message, field = (text.removeprefix("search.") for text in (error.message, error.field or ""))
        raise ApiError(error.status, f"{message}{how}", field or None) from error
    except cinedex_client.ClientError as error:
        raise Error(str(error)) from error


def _export(settings: SearchSettings, form: Literal["csv", "edl"]) -> int:
    """The file of POST /export on stdout, byte by byte; a table has the user's columns too."""
    body = {**body_of(settings), "include": ["metadata"] if form == "csv" else []}
    if settings.server:
        how: dict[str, Any] = {"media_prefix": settings.media_prefix, "frame_rate": settings.frame_rate}
        with _asking(settings) as client:
            sys.stdout.buffer.write(client.export(format=form, **body, **how))
        return 0
    from server.exports.written import Export

    rate = Fraction(settings.frame_rate) if settings.frame_rate else None
    asked = Export(form, settings.media_prefix, rate)
    for piece in exported(_searcher(settings), body, _file(settings), asked, is_all=settings.all):
        sys.stdout.buffer.write(piece)
    return 0


def _whole(pages: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """All pages as one answer."""
    first = next(pages)
    rest = [result for page in pages for result in page["results"]]
    return {**first, "results": [*first["results"], *rest], "next_cursor": None}


def as_json(answer: dict[str, Any], encoding: str) -> str:
    """The answer; escaped where the terminal has not all characters."""
    is_ascii = encoding.lower().replace("-", "") != "utf8"
    return json.dumps(answer, indent=1, ensure_ascii=is_ascii) + "\n"


def table(answer: dict[str, Any], encoding: str) -> str:
    """Time range, score, confidence, path, what words matched, and the text or line; a line a moment."""
    moments = [moment for result in answer["results"] for moment in _moments(result)]
    if not moments:
        return "Nothing is found.\n"
    rows = [["time", "score", "confidence", "path"], *(_row(moment) for moment in moments)]
    if all(moment.get("confidence_level") is None for moment in moments):  # nothing is calibrated
        rows = [[time, score, *rest] for time, score, _, *rest in rows]
    pads = (str.ljust, str.rjust, str.ljust)[: len(rows[0]) - 1]
    shown = aligned(rows, pads, encoding)
    if answer.get("confident") is False:
        shown += "Nothing here is confident: what is asked for is likely not in this library.\n"
    return writable(shown, encoding)


def _moments(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a video its moments; of a sequence the time from its first step to its last."""
    if "steps" in result:
        return [{**result, "best": {}, "text": None}]
    moments: list[dict[str, Any]] = result.get("moments", [result])
    return moments


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
