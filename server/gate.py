"""What every request passes: who may ask, how much may be sent, an id, a line in the log, a count."""

from __future__ import annotations

import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.logs import about, hidden
from server.errors import ApiError, type_of
from server.framing import malformed
from server.headers import HEADERS

if TYPE_CHECKING:
    from server.access import Access
    from server.metrics import Metrics

log = logging.getLogger("server.access")
bugs = logging.getLogger(__name__)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BODY_S = 15  # for the next piece of a body
_SAFE = ("GET", "HEAD", "OPTIONS")
_METHODS = (*_SAFE, "POST", "PUT", "PATCH", "DELETE")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UPLOAD = "/search/upload"  # the one path that takes no JSON but a form with a file
# What needs a place. Where there is none it is told so before its body is read: under overload most that is
# answered is that, and it should cost little.
PLACED = frozenset(
    (
        *("/search", "/search/batch", "/export", "/embed", "/tag", "/locate", "/caption"),
        *("/knn-service", "/metadata", UPLOAD),
    )
)
LOGIN, MOST_LOGIN = "/login", 4 << 10  # anybody may send one: it holds a key and nothing else
_FORM = "multipart/form-data"
_JSON = re.compile(r"application/([\w.+-]+\+)?json")
_QUIET = ("/healthz", "/readyz", "/metrics")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FOREIGN = ("cross-site", "same-site")
SAYS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "2"}}


def new_id() -> str:
    """Of a request that brings none of its own."""
    return uuid.uuid4().hex[:16]


def error_answer(
    status: int, message: str, request_id: str, field: str | None = None, *, type: str | None = None
) -> Response:
    """The one shape of all errors. ASCII, since a client's own words may hold what no UTF-8 can."""
    error = {"type": type or type_of(status), "message": hidden(message), "field": field and hidden(field)}
    return _Ascii({"error": error, "request_id": request_id}, status, SAYS.get(status))


class _Ascii(JSONResponse):
    def render(self, content: object) -> bytes:
        import json

        return json.dumps(content).encode()


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may ask, and how much may be sent."""

    hosts: frozenset[str]  # names without port; "*": all
    max_body: int  # bytes
    max_upload: int = 0  # of a form with a file
    is_anywhere: bool = False  # bound to every address of this machine
    by_any_number: bool = False  # reached at addresses that are not ours to know, by who has a key

    def refusal_of_page(self, scope: Scope, headers: Headers) -> ApiError | None:
        """Why a request is not let in, from wherever a page was."""
        host = headers.get("host", "")
        if not self._is_ours(host_name(host), scope):
            return ApiError(403, f"The host {host!r} is not allowed here; --allowed-hosts names others.")
        if scope["method"] in _SAFE:
            return _of_another_page(headers)
        origin = headers.get("origin")
        if origin is not None and not is_same(origin, host):
            return ApiError(403, f"The origin {origin!r} may not change or ask anything here.")
        return None

    def _is_ours(self, name: str, scope: Scope) -> bool:
        """Whether we may be called so. No page can make a number of its own mean this machine, so the address
        that a connection came in on is no stranger's name; nor is any number, where a container's port is
        reached at addresses that it does not have."""
        if "*" in self.hosts or name in self.hosts or (self.by_any_number and _is_number(name)):
            return True
        server = scope.get("server")
        return self.is_anywhere and server is not None and _is_same_address(name, server[0])

    def refusal_of_body(self, scope: Scope, headers: Headers) -> ApiError | None:
        """Why a body is not read."""
        if scope["method"] in _SAFE:
            return None
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["path"] == UPLOAD:
            if content_type != _FORM:
                return ApiError(415, f"The body is {content_type or 'of no type'!r}; it must be {_FORM}.")
        elif content_type and not _JSON.fullmatch(content_type):
            return ApiError(415, f"The body is {content_type!r}; it must be application/json.")
        coding = headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity"):
            return ApiError(415, f"The body is compressed by {coding!r}; it must be sent as it is.")
        if int(headers.get("content-length", "0")) > self.most(scope):
            return self.too_large(scope)
        return None

    def most(self, scope: Scope) -> int:
        """Bytes of a body."""
        if scope["path"] == LOGIN:
            return min(self.max_body, MOST_LOGIN)
        return self.max_upload if scope["path"] == UPLOAD else self.max_body

    def too_large(self, scope: Scope) -> ApiError:
        return ApiError(413, f"The body is larger than {self.most(scope)} bytes.")


def _of_another_page(headers: Headers) -> ApiError | None:
    """What a page from elsewhere embeds or fetches; its reader may follow a link."""
    if headers.get("sec-fetch-site") in _FOREIGN and headers.get("sec-fetch-dest") != "document":
        return ApiError(403, "A page from elsewhere may not ask anything here.")
    return None


def is_wildcard(host: str) -> bool:
    """Whether what is bound to it is bound to every address."""
    try:
        return ipaddress.ip_address(bare(host)).is_unspecified
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    """Whether it is an address and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_address(name: str, server: str) -> bool:
    """Whether both are numbers, and the same one."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(server)
    except ValueError:
        return False


def bare(name: str) -> str:
    """A host's name as `host_name` gives it."""
    return name.lower().strip("[]")


def host_name(host: str) -> str:
    """A Host header's name: lower case, no port, no brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_same(origin: str, host: str) -> bool:
    """Whether a page's origin is the server it asks."""
    try:
        page, asked = urlsplit(origin), urlsplit(f"//{host}")
        default = _DEFAULT_PORTS[page.scheme]
        return (page.hostname, page.port or default) == (asked.hostname, asked.port or default)
    except (ValueError, KeyError):
        return False


class Gate:
    """The outermost middleware: nothing gets in or out beside it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rules: Rules,
        access: Access,
        metrics: Metrics,
        full: Callable[[str], ApiError | None],
    ) -> None:
        """full: why nobody gets a place for that path now."""
        self._app, self._rules, self._access, self._metrics = app, rules, access, metrics
        self._full = full

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        visit = _Visit(scope, receive, send, self._rules)
        with about(request_id=visit.id):
            with self._metrics.in_flight.track_inprogress():
                await self._let(visit)
            self._count(visit)

    async def _let(self, visit: _Visit) -> None:
        try:
            if unsound := malformed(visit.scope, visit.headers):
                await visit.refuse(unsound, {"Connection": "close"})  # nobody knows where the next one begins
            elif refusal := self._refusal(visit):
                await visit.refuse(refusal)
            else:
                await self._app(visit.scope, visit.receive, visit.send)
        except Exception:  # the process' edge: a bug is answered, logged once, and the server goes on
            bugs.exception("bug")
            if visit.status:
                raise
            await visit.answer(error_answer(500, "This is a bug; the log has it by the id.", visit.id))

    def _refusal(self, visit: _Visit) -> ApiError | None:
        sent = visit.scope, visit.headers
        rules = self._rules
        # What a body should be is nobody's business who has no key.
        refusal = rules.refusal_of_page(*sent) or self._access.refusal(*sent) or rules.refusal_of_body(*sent)
        return refusal or (self._full(visit.scope["path"]) if visit.is_placed else None)

    def _count(self, visit: _Visit) -> None:
        seconds, route = time.perf_counter() - visit.began, visit.route
        method = visit.scope["method"] if visit.scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(visit.status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if visit.status == 429:
            self._metrics.refused.inc()
        path = _shown(visit.scope.get("raw_path", b"").decode("ascii", "replace"))
        level = logging.DEBUG if route in _QUIET else logging.INFO
        line = "method=%s path=%s status=%d ms=%.1f bytes=%d key=%s"
        log.log(level, line, method, path, visit.status, seconds * 1000, visit.sent, visit.key)


def _shown(path: str) -> str:
    """As it was sent, but for a key in it, whose letters may be sent as %XX."""
    plain = unquote(path)
    return path if hidden(plain) == plain else quote(hidden(plain))


class _Visit:
    """One request on its way in and out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, rules: Rules) -> None:
        self.began = time.perf_counter()
        self.headers = Headers(scope=scope)
        asked = self.headers.get("x-request-id", "")
        self.id = asked if _ID.fullmatch(asked) else new_id()
        self.status = self.sent = 0  # sent: bytes of the answer's body
        self.scope = scope
        self._receive, self._send, self._rules = receive, send, rules
        self._received = 0
        self._is_more = True  # of the body; after it, receiving waits for the client to leave
        scope.setdefault("state", {})["request_id"] = self.id
        if "content-type" not in self.headers:
            scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]

    @property
    def is_placed(self) -> bool:
        """Whether it needs a place from the start."""
        return self.scope["method"] == "POST" and self.scope["path"] in PLACED

    @property
    def route(self) -> str:
        """The pattern of the route that answered, or would have."""
        return str(
            getattr(self.scope.get("route"), "path", self.scope["path"] if self.is_placed else "other")
        )

    @property
    def key(self) -> str:
        """The id of the key that was asked with."""
        caller = self.scope["state"].get("caller")
        return caller.key if caller and caller.key else "-"

    async def receive(self) -> Message:
        message = await self._body() if self._is_more else await self._receive()
        self._is_more = self._is_more and bool(message.get("more_body"))
        self._received += len(message.get("body", b""))
        if self._received > self._rules.most(self.scope):
            # Of the framework's own kind, which it hands on to the error table while it reads a body.
            raise HTTPException(413, str(self._rules.too_large(self.scope)))
        return message

    async def _body(self) -> Message:
        try:
            with anyio.fail_after(BODY_S):
                return await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"No more of the body came within {BODY_S} s.") from None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        self.sent += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, why: ApiError, headers: Mapping[str, str] | None = None) -> None:
        answer = error_answer(why.http_status, str(why), self.id, why.field)
        answer.headers.update(headers or {})
        await self.answer(answer)

    async def answer(self, response: Response) -> None:
        await response(self.scope, self._receive, self.send)
