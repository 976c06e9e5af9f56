"""A typed client for a Cinedex server: httpx and pydantic, nothing of ours.

    from cinedex_client import Client

    with Client("http://127.0.0.1:8000") as cinedex:
        for moment in cinedex.search("a red truck at night", limit=5).moments:
            print(moment.path, moment.start, moment.end, moment.score)

`AsyncClient` has the same methods, to be awaited. Fields that a newer server adds are kept, not refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = [
    "Answer",
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Part",
    "Readiness",
    "Result",
    "SearchOptions",
    "SequenceResult",
    "Step",
    "Unreachable",
    "VideoResult",
]

DEFAULT_URL = "http://127.0.0.1:8000"


class Part(TypedDict, total=False):
    """One thing to look for: a text, a stored video or seconds of it, a picture, a stored row, a vector."""

    text: str
    video_id: str
    start: float
    end: float
    image: str  # base64 of a JPEG, PNG or WebP
    image_url: str  # where the server allows its host
    id: str  # of a result
    vector: Sequence[float]
    weight: float  # below 0 pushes away; one of a query's is above


Query = str | Sequence[Part]


class Step(TypedDict, total=False):
    """One step of a sequence. absent: it is not to happen."""

    query: Query
    absent: bool


class SearchOptions(TypedDict, total=False):
    """What else a search can be told; docs/http-api.md says what each means."""

    sequence: Sequence[Step] | None  # in place of a query: A, then B, in one video
    within_s: float | None  # from the end of a step to the start of the next, at most
    min_gap_s: float  # and at least
    target: Literal["videos", "texts"]
    collection: str | None
    encoder: str | None
    encoder_options: Mapping[str, str | float | bool]
    level: Literal["frame", "clip", "video"] | None
    mode: Literal["visual", "text", "hybrid"] | None  # by vectors, by words, by both
    group_by: Literal["none", "video"] | None
    group_size: int
    filter: Mapping[str, Any] | None
    limit: int
    cursor: str | None  # an answer's next_cursor, with all else as it was
    merge_gap_s: float | None  # None: never
    pad_s: float
    weigh_frames: bool
    diversity: float  # 0 only relevance, 1 only difference
    min_score: float | None
    min_confidence: float | Literal["high", "medium", "low"] | None
    exact: bool
    effort: int | None
    include: Sequence[Literal["metadata", "thumbnail", "scores", "explain", "vector"]]


class _Told(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Best(_Told):
    """The second to show."""

    t: float
    thumbnail: str | None = None


class Result(_Told):
    """A moment of a video, or a library text."""

    id: str
    video_id: str
    path: str
    paths: list[str] = []
    start: float
    end: float
    score: float | None = None
    confidence: float | None = None
    confidence_level: str | None = None
    best: Best | None = None
    matched_on: list[str] = []
    approximate: bool = False
    text: str | None = None
    metadata: dict[str, Any] = {}
    scores: list[float] = []
    explain: dict[str, Any] | None = None
    vector: list[float] = []


class VideoResult(_Told):
    """A video with its best moments."""

    video_id: str
    path: str
    paths: list[str] = []
    score: float | None = None
    confidence: float | None = None
    confidence_level: str | None = None
    metadata: dict[str, Any] = {}
    moments: list[Result]


class SequenceResult(_Told):
    """A result for each step, in order of time; None for one that is absent."""

    video_id: str
    path: str
    paths: list[str] = []
    start: float
    end: float
    score: float
    confidence: float | None = None
    confidence_level: str | None = None
    metadata: dict[str, Any] = {}
    steps: list[Result | None]


class Total(_Told):
    """How many results there are; `gte`: or more."""

    value: int
    relation: str


class TookMs(_Told):
    """Milliseconds in the server."""

    total: float
    encode: float
    search: float
    look_up: float


class Answer(_Told):
    """What a search gave, best first."""

    results: list[Result] | list[VideoResult] | list[SequenceResult]
    total: Total
    collection: str
    encoder: str
    snapshot: int
    confident: bool | None = None
    partial: list[str] = []
    query_truncated: bool = False
    took_ms: TookMs
    next_cursor: str | None = None

    @property
    def moments(self) -> list[Result]:
        """The results, grouped or not or steps of sequences, as one list of moments."""
        found: list[Result] = []
        for result in self.results:
            if isinstance(result, SequenceResult):
                found += [step for step in result.steps if step is not None]
            else:
                found += result.moments if isinstance(result, VideoResult) else [result]
        return found


class Encoder(_Told):
    """One encoder of a collection."""

    name: str
    fingerprint: str
    dim: int
    default: bool
    ready: bool
    reason: str | None = None
    snapshot: int | None = None
    rows: dict[str, int] | None = None


class Collection(_Told):
    """A collection and its encoders."""

    name: str
    default: bool
    encoders: list[Encoder]


class Readiness(_Told):
    """Whether the server can search, and what it serves."""

    ready: bool
    collections: list[Collection]


class ClientError(Exception):
    """Whatever went wrong between here and the answer."""


class Unreachable(ClientError):
    """No answer came."""


class ApiError(ClientError):
    """The server answered with an error."""

    def __init__(self, status: int, type: str, message: str, field: str | None, request_id: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type  # "invalid_request", "not_found", …
        self.message = message
        self.field = field  # the path within the request, or None
        self.request_id = request_id
        self.retry_after_s: float | None = None


M = TypeVar("M", bound=BaseModel)


class Client:
    """Asks one server. Thread-safe; close it, or use it in a `with`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=_url(url), timeout=timeout_s, transport=transport)

    def search(self, query: Query | None = None, **options: Unpack[SearchOptions]) -> Answer:
        """Moments of videos, or library texts, that are like the query."""
        return self._ask("POST", "/search", Answer, _body(query, options))

    def ready(self) -> Readiness:
        """What is served, and whether it can be searched."""
        return self._ask("GET", "/readyz", Readiness)

    def health(self) -> bool:
        """Whether the server answers at all."""
        try:
            return self._http.get("/healthz").is_success
        except httpx.RequestError:
            return False

    def _ask(self, method: str, path: str, model: type[M], body: dict[str, Any] | None = None) -> M:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.RequestError as error:
            raise _failed(self._http.base_url, error) from error
        return _read(answer, model)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The same, to be awaited."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=_url(url), timeout=timeout_s, transport=transport)

    async def search(self, query: Query | None = None, **options: Unpack[SearchOptions]) -> Answer:
        """Moments of videos, or library texts, that are like the query."""
        return await self._ask("POST", "/search", Answer, _body(query, options))

    async def ready(self) -> Readiness:
        """What is served, and whether it can be searched."""
        return await self._ask("GET", "/readyz", Readiness)

    async def health(self) -> bool:
        """Whether the server answers at all."""
        try:
            return (await self._http.get("/healthz")).is_success
        except httpx.RequestError:
            return False

    async def _ask(self, method: str, path: str, model: type[M], body: dict[str, Any] | None = None) -> M:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.RequestError as error:
            raise _failed(self._http.base_url, error) from error
        return _read(answer, model)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ClientError(f"{text!r} is no URL: {error}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ClientError(f"{text!r} is no server's URL; http://127.0.0.1:8000 is one.")
    return url


def _body(query: Query | None, options: SearchOptions) -> dict[str, Any]:
    parts = query if query is None or isinstance(query, str) else list(query)
    return {"query": parts, **options}


def _read(answer: httpx.Response, model: type[M]) -> M:
    """The model in an answer. A server that is not ready says so in the same shape, with 503."""
    if answer.is_success or (answer.status_code == 503 and model is Readiness):
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            if answer.is_success:
                raise ClientError(f"{answer.url} does not answer as a Cinedex server does.") from error
    raise _error_in(answer)


def _error_in(answer: httpx.Response) -> ClientError:
    try:
        held = answer.json()
        error = held["error"]
        found = ApiError(
            answer.status_code, error["type"], error["message"], error["field"], held["request_id"]
        )
    except (ValueError, LookupError, TypeError):
        return ClientError(f"{answer.url} answers {answer.status_code}, and not as a Cinedex server does.")
    after = answer.headers.get("retry-after", "")
    found.retry_after_s = float(after) if after.isdigit() else None
    return found


def _failed(url: httpx.URL, error: httpx.RequestError) -> ClientError:
    why = str(error) or type(error).__name__
    if isinstance(error, httpx.TransportError):
        return Unreachable(f"{url} does not answer: {why}.")
    return ClientError(f"The answer of {url} cannot be read: {why}.")
