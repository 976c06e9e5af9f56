"""What lies behind an address: whether it is there, which version it is, what a prefix holds, its bytes."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from inspect import signature
from typing import Any

import fsspec

from core.errors import UsageError
from extractor.url import Url

CONNECT_S, READ_S = 10.0, 30.0  # how long nothing may be heard
BLOCK_BYTES = 1 << 22
RANGE_BYTES = 1 << 20  # where it broke off before: what has come by then stays
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}
# What tells two versions of an object apart, the best first. Each protocol has its own words for it.
_VERSIONS = (
    "ETag",
    "etag",
    "Content-MD5",
    "Digest",
    "md5Hash",
    "Last-Modified",
    "LastModified",
    "last_modified",
)
# Refusals that hold for a while.
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_TIMES = ("mtime", "modified", "updated", "created")


def files_of(url: Url) -> Any:
    """The file system behind an address; a sentence where what it needs is not installed."""
    try:
        if _needs_more(fsspec.get_filesystem_class(url.protocol)):
            raise UsageError(f"{url.shown} cannot be read: {url.protocol} needs more than an address here.")
        return fsspec.filesystem(url.protocol, use_listings_cache=False, **_patience(url.protocol))
    except ImportError as error:
        extra = _EXTRAS.get(url.protocol)
        install = f"pip install 'cinedex[{extra}]'" if extra else str(error)
        raise UsageError(f"{url.shown} needs a package that is not installed: {install}.") from error
    except ValueError as error:
        raise UsageError(f"{url.shown} has the protocol {url.protocol}, which is not known.") from error
    except OSError as error:  # as of an archive within a file
        raise UsageError(f"{url.shown} cannot be read: {url.scrub(str(error))}.") from error


def _needs_more(kind: type) -> bool:
    """Whether a file system cannot be made without a host, a repository or the like."""
    _, *parameters = signature(kind.__init__).parameters.values()  # type: ignore[misc]
    named = (each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
    return any(each.default is each.empty for each in named)


def _patience(protocol: str) -> dict[str, Any]:
    """Nobody is waited for without end."""
    if protocol in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
        return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    if protocol in ("s3", "s3a"):
        return {"config_kwargs": {"connect_timeout": CONNECT_S, "read_timeout": READ_S}}
    return {}


@contextmanager
def talking(url: Url) -> Iterator[None]:
    """Say as an OSError, and without a secret, what kept an object from being read."""
    try:
        yield
    except Exception as error:  # each protocol's package raises its own
        raise _told(error, url) from None


def _told(error: Exception, url: Url) -> OSError:
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error  # HTTP says so of all
    status = getattr(error, "status", None)
    if isinstance(status, int):
        gone = status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER
        code = errno.ENOENT if gone else errno.EACCES if refused else errno.EIO
        return OSError(code, f"{url.host} answered {status} {_phrase(status)}".rstrip())
    match error:
        case FileNotFoundError():
            return OSError(errno.ENOENT, "there is no such object")
        case _ if "(NoSuchBucket)" in str(error):
            return OSError(errno.ENOENT, "there is no such bucket")
        case PermissionError():
            return OSError(errno.EACCES, "permission denied")
        case ValueError() if "range" in str(error):
            return OSError(errno.ESPIPE, "its server gives it whole or not at all")
        case TimeoutError():
            return OSError(errno.ETIMEDOUT, f"{url.host or url.protocol} did not answer in time")
    message = url.scrub(str(error)).partition("\n")[0]
    return OSError(errno.EIO, message or type(error).__name__)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def key_of(files: Any, url: Url) -> str:
    """What the file system itself calls the object."""
    return url.text if url.protocol in ("http", "https") else str(files._strip_protocol(url.text))


def info_of(files: Any, url: Url) -> Mapping[str, Any]:
    """What is known of an object or a prefix without reading it, or an OSError."""
    with talking(url):
        found: Mapping[str, Any] = files.info(key_of(files, url))
        return found


def stamp_of(info: Mapping[str, Any]) -> str:
    """Size and version: unchanged, it is not fetched again. An OSError where its size is not told."""
    size = info.get("size")
    if size is None:
        raise OSError(errno.EIO, "its server does not say how large it is")
    version = next((info[name] for name in (*_VERSIONS, *_TIMES) if info.get(name)), "")
    # A listing and a look at one object may tell the same time as a number and as a date.
    text = str(version.timestamp() if isinstance(version, datetime) else version)
    return f"{size}-{text.replace(chr(34), '')}"


def size_of(stamp: str) -> int:
    """The size that a stamp begins with."""
    return int(stamp.partition("-")[0])


def listed_at(files: Any, url: Url) -> list[tuple[str, Mapping[str, Any]]]:
    """What lies directly below a prefix, by its path below the host: an OSError where that cannot be told."""
    prefix = str(files._strip_protocol(url.base)).rstrip("/")
    with talking(url):
        found = files.ls(key_of(files, url), detail=True)
    paths = ((str(info["name"]).removeprefix(prefix).strip("/"), info) for info in found)
    return sorted((path, info) for path, info in paths if path != url.path.strip("/"))


def blocks(files: Any, url: Url, at: int, size: int) -> Iterator[bytes]:
    """An object's bytes from `at` on, until an OSError says that it broke off."""
    key, block_bytes = key_of(files, url), RANGE_BYTES if at else BLOCK_BYTES
    with talking(url), files.open(key, "rb", **_reading(url, at, size)) as source:
        if at:
            source.seek(at)
        while block := source.read(min(block_bytes, size - at)):
            at += len(block)
            yield block


def _reading(url: Url, at: int, size: int) -> dict[str, Any]:
    if url.protocol in ("http", "https"):
        if at == 0:  # one answer from the beginning to the end, as every server can give it
            return {"block_size": 0, "headers": {"Accept-Encoding": "identity"}}
        return {"block_size": RANGE_BYTES, "cache_type": "none", "size": size}
    return {"block_size": BLOCK_BYTES, "cache_type": "none"}
