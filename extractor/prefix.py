"""`--videos` s3://bucket/films/: one object, or everything below a prefix, by names and versions alone."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from core.errors import Error, UsageError
from core.log import Task
from core.types import Place
from extractor import remote
from extractor.find import is_no_video
from extractor.roots import Naming, is_inside
from extractor.url import Url, url_of
from extractor.work import Remote, Spool, Work


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """What an address names, and the root that its places belong to."""

    kind: ClassVar[Literal["URL"]] = "URL"
    root: str
    url: Url
    is_prefix: bool
    spool: Spool

    @property
    def shown(self) -> str:
        return self.url.shown

    def holds(self, path: bytes) -> bool:
        """Whether it names a place of its root."""
        named = os.fsencode(self.url.path)
        return is_inside(path, named.strip(b"/")) if self.is_prefix else path == named

    def claims(self) -> dict[str, str]:
        """The root, and what its addresses begin with."""
        return {self.root: self.url.base}


def url_target(asked: str, naming: Naming, spool: Spool) -> UrlTarget:
    """What an address means, or a sentence that says why it cannot be used."""
    url = url_of(asked)
    files = remote.files_of(url)
    if url.protocol in ("http", "https"):
        if not url.path or url.path.endswith("/"):
            raise UsageError(
                f"{url.shown} names no file, and over HTTP nothing is listed: name files, or a list."
            )
        return UrlTarget(naming.of_url(url.base), url, False, spool)
    try:
        # An object and a prefix may have one name: with '/' behind it the prefix is meant.
        is_folder = remote.info_of(files, url).get("type") == "directory"
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise UsageError(f"--videos {url.shown} does not exist.") from error
        raise Error(f"{url.shown} cannot be read: {error.strerror}.") from error
    return UrlTarget(naming.of_url(url.base), url, is_folder or url.path.endswith("/"), spool)


@dataclass
class UrlListing:
    """One look at what is there: go through it once, then ask what was met."""

    target: UrlTarget
    stop: threading.Event = field(default_factory=threading.Event)
    listed: int = 0
    not_video: int = 0
    unstable: int = 0
    links_out: int = 0
    named: Place | None = None  # the one object that was asked for
    failed: list[tuple[Place, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Place]:
        files, url = remote.files_of(self.target.url), self.target.url
        for place in self._below(files) if self.target.is_prefix else self._one(files, url):
            self.listed += 1
            yield place

    def _one(self, files: Any, url: Url) -> Iterator[Place]:
        try:
            yield from self._met(url.path, remote.info_of(files, url))
        except OSError as error:
            self._fail(url.path, f"it cannot be read: {error.strerror}")
        self.named = Place(self.target.root, os.fsencode(url.path))

    def _below(self, files: Any) -> Iterator[Place]:
        stack = [self.target.url.path.strip("/")]
        while stack and not self.stop.is_set():
            inside = stack.pop()
            try:
                found = remote.listed_at(files, self.target.url.at(inside))
            except OSError as error:
                self._fail(inside, f"it cannot be listed: {error.strerror}")
                continue
            shown = [each for each in found if not each[0].rpartition("/")[2].startswith(".")]
            for path, info in shown:
                if info["type"] != "directory":
                    yield from self._seen(path, info)
            stack += [path for path, info in reversed(shown) if info["type"] == "directory"]

    def _seen(self, path: str, info: Mapping[str, Any]) -> Iterator[Place]:
        if is_no_video(os.fsencode(path)):
            self.not_video += 1
        else:
            yield from self._met(path, info)

    def _met(self, path: str, info: Mapping[str, Any]) -> Iterator[Place]:
        try:
            yield Place(self.target.root, os.fsencode(path), remote.stamp_of(info))
        except OSError as error:
            self._fail(path, f"it cannot be read: {error.strerror}")

    def _fail(self, path: str, error: str) -> None:
        self.failed.append((Place(self.target.root, os.fsencode(path)), error))

    def work(self, task: Task) -> Work:
        """What is to do at a place that it listed."""
        url = self.target.url
        there = url.at(os.fsdecode(task.place.path)) if self.target.is_prefix else url
        return Work(task, remote=Remote(there, self.target.spool), named=not self.target.is_prefix)

    def whole(self, path: bytes) -> bool:
        """Never: what a far listing leaves out need not be gone."""
        return False
