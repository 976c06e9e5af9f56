"""Who may ask: a key in a header or a cookie, looked up in what the keys' file says now."""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import Scope as AsgiScope

from core.errors import Error
from server import keys
from server.errors import ApiError
from server.keys import Key, KeysFile
from server.settings import ServeSettings

log = logging.getLogger(__name__)
LOOK_S = 1.0  # between two looks at the file, so that a key is revoked that soon
COOKIE = "cinedex_session"
PUBLIC = frozenset({"/", "/healthz", "/readyz", "/login", "/logout", "/favicon.ico"})
PUBLIC_FOLDERS = ("/page/",)  # the page's own files, which it needs to ask for a key
NO_KEY = "A key is needed: Authorization: Bearer KEY, or x-api-key: KEY."
WRONG_KEY = "This key is not known, or has ended."  # which of these is nobody's business
_CHANGING = ("DELETE", "PUT", "PATCH")
_SESSION = re.compile(r"([0-9a-f]{8})\.([0-9a-f]{64})")
_NOBODY = "0" * 64  # compared with where there is no such id, so that it takes as long
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    key: str  # its id, or "" where the server has no keys
    is_admin: bool


ANYONE = Caller("", True)


class Closed(Protocol):
    """Whether there ever were keys while a server runs; its workers share one."""

    value: bool


@dataclass(slots=True)
class _Closed:
    value: bool = False


class Access:
    """The keys of a server. Where there is no file, or one that says that none are meant, it needs none; once
    there were keys it always does, and so does a worker that takes the place of one."""

    def __init__(self, file: KeysFile, *, must_be: bool, closed: Closed | None = None) -> None:
        """An Error where the file is damaged, or missing though it must be there."""
        self._file, self._closed = file, _Closed() if closed is None else closed
        self._stamp, self._said = _stamp(file.path), ""
        held = file.read(must_be=must_be)
        self._keys: Mapping[str, Key] | None = None
        if held is not None:
            self._take(held)
        self._stay_closed()

    @classmethod
    def of(cls, settings: ServeSettings, closed: Closed | None = None) -> Access:
        path = settings.keys_file
        return cls(KeysFile(path or settings.data / keys.FILE), must_be=path is not None, closed=closed)

    @property
    def is_by_key(self) -> bool:
        """Whether only who has a key is answered."""
        return self._keys is not None

    def look(self) -> None:
        """Take up a file that has changed; what cannot be taken up leaves the keys that hold now."""
        self._stay_closed()
        stamp = _stamp(self._file.path)
        if stamp == self._stamp:
            return
        try:
            held = self._file.read()
        except Error as error:
            if self._keys is None:
                self._take(())  # a first file that cannot be read lets nobody in
            self._complain(str(error))  # and is read again at the next look: it may be the machine's fault
            return
        self._stamp = stamp
        if held is not None:
            self._take(held)
            self._said = ""
            log.info("keys read count=%d", len(held))
        elif self._keys is not None:
            self._complain(self._gone())

    def _take(self, held: tuple[Key, ...]) -> None:
        self._keys = {key.id: key for key in held}
        self._closed.value = True

    def _stay_closed(self) -> None:
        """Where another worker has seen keys, or who was here before."""
        if self._keys is None and self._closed.value:
            self._take(())
            self._complain(self._gone())

    def _gone(self) -> str:
        return f"{self._file.path} is gone, or has none any more."

    def _complain(self, why: str) -> None:
        if why != self._said:
            self._said = why
            log.error("keys not read, those before hold on error=%s", why)

    def refusal(self, scope: AsgiScope, headers: Headers) -> ApiError | None:
        """Why a request is not let in; who asks is in its state from then on, None on public routes."""
        caller = self.caller(headers)
        scope["state"]["caller"] = caller
        if is_open_path(scope["path"]):
            return None
        if caller is None:
            return ApiError(401, NO_KEY if next(_sent(headers), None) is None else WRONG_KEY)
        return too_little(caller) if scope["method"] in _CHANGING else None

    def caller(self, headers: Headers) -> Caller | None:
        """Who asks by these headers. What is sent first counts: a wrong key is not made good by a cookie."""
        if self._keys is None:
            return ANYONE
        sent = next(_sent(headers), None)
        key = None if sent is None else self._known(*sent)
        return None if key is None else Caller(key.id, key.scope == "admin")

    def session(self, text: str) -> tuple[Key, str] | None:
        """A key's session, for the cookie."""
        parsed = keys.parse(text)
        if parsed is None:
            return None
        id, token = parsed[0], keys.session_token(parsed[1])
        key = self._known(id, token)
        return None if key is None else (key, f"{id}.{token}")

    def _known(self, id: str, token: str) -> Key | None:
        key = (self._keys or {}).get(id)
        fits = hmac.compare_digest(keys.token_hash(token), key.hash if key else _NOBODY)
        return key if key and fits and not key.is_over() else None


def is_open_path(path: str) -> bool:
    """What is answered without a key: it says nothing of the library."""
    return path in PUBLIC or path.startswith(PUBLIC_FOLDERS)


def admin(request: Request) -> None:
    """A dependency of each POST that changes something."""
    if refusal := too_little(request.state.caller):
        raise refusal


def too_little(caller: Caller) -> ApiError | None:
    """Why somebody may not change something."""
    return (
        None if caller.is_admin else ApiError(403, "The key's scope is read; this takes one of scope admin.")
    )


def _sent(headers: Headers) -> Iterator[tuple[str, str]]:
    """Ids and tokens, of what is a credential of ours; nobody's id for what does not look like one."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    texts = [bearer.strip()] if scheme.lower() == "bearer" else []
    texts += [headers["x-api-key"].strip()] if "x-api-key" in headers else []
    for text in texts:
        parsed = keys.parse(text)
        yield (parsed[0], keys.session_token(parsed[1])) if parsed else ("", "")
    session = _SESSION.fullmatch(cookie_parser("; ".join(headers.getlist("cookie"))).get(COOKIE, ""))
    if session:
        yield session[1], session[2]


def _stamp(path: Path) -> _Stamp | None:
    """What changes with each replacement; through links, as a mounted secret is one."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
