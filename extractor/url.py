"""An address of something far away, and what of it may be stored and shown: never what lets one in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from core.errors import UsageError

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://([^/]*)(?:/(.*))?", re.IGNORECASE | re.DOTALL)
# As one begins that was meant, whatever follows: no file, whose name would be shown.
_MEANT = re.compile(r"\s*(https?|s?ftp|ssh|s3a?|gc?s):", re.IGNORECASE)
_LOCAL = ("file", "local")
# Where '?' and '#' are characters of a name, and who may look is never said in the address.
_BUCKETS = ("s3", "s3a", "gs", "gcs", "memory")


@dataclass(frozen=True, slots=True)
class Url:
    """An address in parts. What follows from its user, password and query is in `text` alone."""

    text: str = field(repr=False)  # as it was given
    protocol: str
    host: str  # or bucket: with the protocol, what a root means
    path: str  # below it, as it is spelt

    @property
    def base(self) -> str:
        """What all of a root's addresses begin with."""
        return f"{self.protocol}://{self.host}"

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return f"{self.base}/{self.path}"

    def at(self, path: str) -> Url:
        """Another object at the same host, asked for in the same way."""
        return Url(f"{self.text[: self._base_end]}/{path}", self.protocol, self.host, path)

    @property
    def _base_end(self) -> int:
        """Where the protocol and the host end in what was given."""
        end = self.text.find("/", len(self.protocol) + 3)
        return len(self.protocol) + 2 if self.protocol == "memory" else end if end >= 0 else len(self.text)

    def scrub(self, message: str) -> str:
        """A message without what is secret in this address, or in any other that it holds."""
        secrets = {secret for secret in _secrets(self.text) if len(secret) > 2}
        for secret in sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True):
            message = message.replace(secret, "…")
        return scrubbed(message)


def scrubbed(message: str) -> str:
    """A message without the user, password and query of any address in it."""
    without_user = re.sub(r"(://)[^/\s'\"@]+@", r"\1…", message)
    return re.sub(r"(://[^\s'\"?]*\?)[^\s'\"]+", r"\1…", without_user)


def shorn(value: Any) -> Any:
    """A value in which each text that is an address, however deep, has lost its user, password and query."""
    match value:
        case str():
            return _shorn(value)
        case dict():
            return {name: shorn(each) for name, each in value.items()}
        case list() | tuple():
            return [shorn(each) for each in value]
    return value


def _shorn(text: str) -> str:
    address = text.strip()
    found = _URL.fullmatch(address)
    if found is None or ("@" not in found[2] and re.search(r"\s", found[2])):  # or a sentence
        return text
    if found[1].lower() not in (*_BUCKETS, *_LOCAL):
        address = re.split(r"[?#]", address)[0]
    return re.sub(r"://[^/]*@", "://", address)


def is_url(text: str) -> bool:
    """Whether it is an address rather than a path."""
    found = _URL.fullmatch(text)
    return found is not None and found[1].lower() not in _LOCAL


def local_path(text: str) -> str:
    """A path; `file://` before it is taken off. A sentence for an address that lacks a slash."""
    if meant := _MEANT.match(text):
        protocol = meant[1]
        raise UsageError(f"An address begins with {protocol}://; a file can be called ./{protocol}:….")
    found = _URL.fullmatch(text)
    return text if found is None or found[1].lower() not in _LOCAL else f"/{found[3] or ''}"


def url_of(text: str) -> Url:
    """An address in parts, or a sentence that does not show its secrets."""
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no URL")
    protocol, netloc, path = found[1].lower(), found[2], found[3] or ""
    if protocol not in _BUCKETS:
        netloc, path = re.split(r"[?#]", netloc)[0], re.split(r"[?#]", path)[0]
    userinfo, _, host = netloc.rpartition("@")
    shown = f"{protocol}://{host}/{path}"
    if userinfo and protocol in _BUCKETS:
        raise UsageError(f"{shown} was given with a key in it; the environment is where its keys belong.")
    if "::" in shown:
        raise UsageError(f"{shown} is a chain of file systems; give the address of the videos themselves.")
    if protocol == "memory":
        host, path = "", f"{host}/{path}".strip("/") if host else path
    elif not host:
        shown = re.sub(r"[^/]*:[^/]*@", "…", shown.partition("://")[2])
        noun = "bucket" if protocol in _BUCKETS else "host"
        raise UsageError(f"{protocol}://{shown} names no {noun}.")
    return Url(text, protocol, host, path)


def _secrets(text: str) -> list[str]:
    rest = text.partition("://")[2]
    netloc, _, query = re.split(r"[/?]", rest, maxsplit=1)[0], "", rest.partition("?")[2]
    userinfo = netloc.rpartition("@")[0]
    return [userinfo, *userinfo.split(":", 1), query, *re.findall(r"=([^&#]+)", query)]
