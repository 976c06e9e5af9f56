"""Every question that a server takes: how it is sent, and how its answer is read. Nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Unpack
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from cinedex_client import answers
from cinedex_client.errors import ApiError, ClientError, error_in, error_of
from cinedex_client.questions import (
    Of,
    Picture,
    Query,
    Search,
    SearchOptions,
    Within,
    base64_of,
    body_of,
    given,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
VIDEO = "{video_id}"


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    route: str  # as docs/http-api.md has it
    read: Callable[[httpx.Response], T]
    video_id: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    file: bytes | Path | None = None  # sent beside the body
    again: Literal["never", "unheard", "always"] = "always"  # unheard: only where it surely did nothing yet

    @property
    def path(self) -> str:
        """The route with the video's id in it."""
        return self.route.replace(VIDEO, quote(self.video_id, safe=""))

    @contextmanager
    def written(self) -> Iterator[dict[str, Any]]:
        """What httpx is told; a file is open meanwhile, and read as it is sent."""
        told: dict[str, Any] = {"method": self.method, "url": self.path, "params": given(**self.params)}
        if self.file is None:
            yield told if self.body is None else {**told, "json": self.body}
            return
        opened = BytesIO(self.file) if isinstance(self.file, bytes) else self.file.open("rb")
        name = "file" if isinstance(self.file, bytes) else self.file.name
        with opened as content:
            form = {"request": json.dumps(self.body)}
            yield {**told, "data": form, "files": {"file": (name, content, "application/octet-stream")}}


def search(query: Query | None = None, **options: Unpack[SearchOptions]) -> Call[answers.Answer]:
    """Moments of videos, or library texts, that are like the query."""
    return Call("POST", "/search", _as(answers.Answer), body=body_of(query, options))


def page(query: Query | None, options: SearchOptions, cursor: str | None) -> Call[answers.Answer]:
    """A search's results behind a cursor; None: the first ones."""
    body = body_of(query, options) | given(cursor=cursor)
    return Call("POST", "/search", _as(answers.Answer), body=body)


def upload(
    file: bytes | PathLike[str] | str, query: Query | None = None, **options: Unpack[SearchOptions]
) -> Call[answers.Answer]:
    """The same, like a picture or a video: its bytes, or its path, which is read while it is sent."""
    content = file if isinstance(file, bytes) else Path(file)
    body = body_of(query, options)
    return Call("POST", "/search/upload", _as(answers.Answer), body=body, file=content)


def batch(searches: Sequence[Search]) -> Call[list[answers.Answer | ApiError]]:
    """Up to 64 searches at once: an answer each, or the error in its place, which is not raised."""
    bodies = [body_of(each.get("query"), {**each, "query": None}) for each in searches]
    return Call("POST", "/search/batch", _batch, body={"requests": bodies})


def similar(
    video_id: str,
    *,
    level: Literal["frame", "clip", "video"] | None = None,
    group_by: Literal["none", "video"] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    **within: Unpack[Within],
) -> Call[answers.Answer]:
    """What is like a stored video, or like some seconds of it."""
    told = given(level=level, group_by=group_by, limit=limit, cursor=cursor, **within)
    return Call("GET", "/videos/{video_id}/similar", _as(answers.Answer), video_id, told)


def export(
    query: Query | None = None,
    *,
    format: Literal["json", "csv", "edl"],
    media_prefix: str = "",
    frame_rate: str | None = None,
    **options: Unpack[SearchOptions],
) -> Call[bytes]:
    """A search's results as a file for a table or an editor. media_prefix: goes before each path; frame_rate:
    of an EDL, as "25" or "30000/1001"."""
    how = given(format=format, media_prefix=media_prefix, frame_rate=frame_rate)
    return Call("POST", "/export", _bytes, body={"search": body_of(query, options), **how})


def embed(
    texts: Sequence[str] | None = None,
    *,
    images: Sequence[Picture] | None = None,
    **of: Unpack[Of],
) -> Call[answers.Embedded]:
    """Vectors of texts, or of pictures."""
    pictures = None if images is None else [base64_of(image) for image in images]
    body = given(texts=texts, images=pictures, **of)
    return Call("POST", "/embed", _as(answers.Embedded), body=body)


def tag(
    video_id: str,
    labels: Sequence[str],
    *,
    templates: Sequence[str] | None = None,
    limit: int | None = None,
    **within: Unpack[Within],
) -> Call[answers.Tagged]:
    """Which labels a stored video, or some seconds of it, is most like."""
    body = given(video_id=video_id, labels=labels, templates=templates, limit=limit, **within)
    return Call("POST", "/tag", _as(answers.Tagged), body=body)


def locate(video_id: str, texts: Sequence[str], **within: Unpack[Within]) -> Call[answers.Located]:
    """When in a stored video the texts are to be seen."""
    body = given(video_id=video_id, texts=texts, **within)
    return Call("POST", "/locate", _as(answers.Located), body=body)


def caption(video_id: str, *, beams: int | None = None, **within: Unpack[Within]) -> Call[answers.Captioned]:
    """What a stored video shows, in sentences; Conflict where the encoder cannot write."""
    body = given(video_id=video_id, beams=beams, **within)
    return Call("POST", "/caption", _as(answers.Captioned), body=body)


def videos(
    *,
    root: str | None = None,
    prefix: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    **of: Unpack[Of],
) -> Call[answers.Videos]:
    """Some of the stored videos, by path."""
    told = given(root=root, prefix=prefix, limit=limit, cursor=cursor, **of)
    return Call("GET", "/videos", _as(answers.Videos), params=told)


def video(video_id: str, **of: Unpack[Of]) -> Call[answers.Video]:
    """What is known of a stored video."""
    return Call("GET", "/videos/{video_id}", _as(answers.Video), video_id, of)


def delete(video_id: str, *, collection: str | None = None) -> Call[None]:
    """Take a video out of a collection, as `cinedex remove` does; it needs a key of the scope admin."""
    told = {"collection": collection}
    return Call("DELETE", "/videos/{video_id}", _nothing, video_id, told, again="unheard")


def thumbnail(video_id: str, t: float = 0.0, *, exact: bool = False, **of: Unpack[Of]) -> Call[bytes]:
    """A JPEG: the stored picture nearest to second t; exact: the one shown then, which is decoded anew."""
    told = given(t=t, exact=exact or None, **of)
    return Call("GET", "/thumbnail/{video_id}", _bytes, video_id, told)


def clip(video_id: str, **within: Unpack[Within]) -> Call[None]:
    """Some seconds of a stored video, as an MP4."""
    return Call("GET", "/clip/{video_id}", _nothing, video_id, within)


def media(video_id: str, **of: Unpack[Of]) -> Call[None]:
    """The file of a stored video."""
    return Call("GET", "/media/{video_id}", _nothing, video_id, of)


def collections() -> Call[list[answers.Collection]]:
    """What is served."""
    read = _as(answers.Collections)
    return Call("GET", "/collections", lambda answer: read(answer).collections)


def ready() -> Call[answers.Readiness]:
    """What is served, and whether it can be searched."""
    return Call("GET", "/readyz", _readiness, again="never")


def health() -> Call[None]:
    """Whether the server answers at all."""
    return Call("GET", "/healthz", _nothing, again="never")


def _as(model: type[M]) -> Callable[[httpx.Response], M]:
    def read(answer: httpx.Response) -> M:
        _require_success(answer)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            raise _foreign(answer) from error

    return read


def _readiness(answer: httpx.Response) -> answers.Readiness:
    """A server that is not ready says so in the same shape, with 503."""
    try:
        return answers.Readiness.model_validate_json(answer.content)
    except ValidationError as error:
        _require_success(answer)
        raise _foreign(answer) from error


def _batch(answer: httpx.Response) -> list[answers.Answer | ApiError]:
    _require_success(answer)
    try:
        return [_answer_or_error(each, answer) for each in answer.json()["answers"]]
    except (ValueError, LookupError, TypeError) as error:
        raise _foreign(answer) from error


def _answer_or_error(held: Mapping[str, Any], answer: httpx.Response) -> answers.Answer | ApiError:
    if "error" in held:
        return error_of(held["error"], answer.headers.get("x-request-id", ""))
    return answers.Answer.model_validate(held)


def _bytes(answer: httpx.Response) -> bytes:
    _require_success(answer)
    return answer.content


def _nothing(answer: httpx.Response) -> None:
    _require_success(answer)


def _require_success(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise error_in(answer)


def _foreign(answer: httpx.Response) -> ClientError:
    return ClientError(f"{answer.url.copy_with(query=None)} does not answer as a Cinedex server does.")
