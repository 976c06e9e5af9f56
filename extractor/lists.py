"""`--videos` list.{txt,csv,jsonl,parquet}: a path or an address a line, and the user's columns beside it."""

from __future__ import annotations

import errno
import os
import stat
import threading
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.files import stamp_of
from core.log import Task
from core.rules import key_of as key_of_text
from core.types import Place
from extractor import remote
from extractor.find import Settling, has_stamp
from extractor.lines import Line, columns_of, read_lines
from extractor.roots import Naming
from extractor.sidecars import Folders
from extractor.url import Url, is_url, local_path, url_of
from extractor.work import Key, Remote, Spool, Work, key_of

PATH_FIELDS = ("path", "video", "file", "url", "videoLoc")
_BATCH = 256  # lines looked up together
_LOOKERS = 16  # addresses asked for at once
_RECENT = 16_384  # addresses that are remembered until their places are handed out: a query is stored nowhere
_CHANGED = "it changed while it was read; run it again"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list: its number, what it names (an absolute path or an address), the user's columns."""

    line: int  # its number alone: its fields are in the columns, and a batch of them would be held twice
    where: bytes | Url
    columns: str | None

    @property
    def key(self) -> int:
        """64 bits of what it names."""
        where = self.where
        return key_of_text(f"url {where.shown}" if isinstance(where, Url) else os.fsdecode(where))

    @property
    def said(self) -> int:
        """64 bits of all else that it says."""
        text = self.where.text if isinstance(self.where, Url) else ""
        return key_of_text(f"{text}\0{self.columns or ''}")


@dataclass(frozen=True, slots=True, eq=False)
class ListTarget:
    """What the list names, once it has been read through."""

    kind: ClassVar[Literal["list"]] = "list"
    file: Path
    stamp: str  # of the list itself
    naming: Naming
    addresses: tuple[str, ...]  # what its addresses begin with
    repeated: NDArray[np.bool_]  # for each line whether an earlier one has named the same
    spool: Spool

    @property
    def root(self) -> str:
        return self.naming.own[0]

    @property
    def shown(self) -> str:
        return os.fsencode(self.file).decode(errors="replace")

    def claims(self) -> dict[str, str]:
        """The roots that its places are of, and where they lie."""
        return self.naming.claims() | {self.naming.of_url(base): base for base in self.addresses}


def list_target(file: Path, naming: Naming, spool: Spool) -> ListTarget:
    """Read a list through: every mistake in it is told before anything is done."""
    stamp = stamp_of(os.stat(file))
    keys, said, lines = array("Q"), array("Q"), array("Q")
    addresses: dict[str, Url] = {}
    for entry in entries(file):
        keys.append(entry.key)
        said.append(entry.said)
        lines.append(entry.line)
        if isinstance(entry.where, Url):
            addresses.setdefault(entry.where.base, entry.where)
        else:
            naming = naming.holding(entry.where)
    for url in addresses.values():
        remote.files_of(url)
    naming.require_one(addresses)
    repeated = _repeated(file, *(np.frombuffer(held, np.uint64) for held in (keys, said, lines)))
    return ListTarget(file, stamp, naming, tuple(addresses), repeated, spool)


def _repeated(file: Path, keys: Any, said: Any, lines: Any) -> NDArray[np.bool_]:
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    wrong = np.flatnonzero(same & (said[order][1:] != said[order][:-1]))
    if len(wrong):
        first, other = (int(lines[order[wrong[0] + i]]) for i in (0, 1))
        raise UsageError(
            f"{file} names one video in line {first} and in line {other}, "
            "with other columns or another query; one line is enough."
        )
    repeated = np.zeros(len(keys), np.bool_)
    repeated[order[1:][same]] = True
    return repeated


def entries(file: Path) -> Iterator[Entry]:
    """What each line names; relative paths are relative to the list's folder."""
    folder = os.path.dirname(os.path.abspath(os.fsencode(file)))
    for line in read_lines(file, PATH_FIELDS[0], "surrogateescape"):
        yield _entry(line, folder)


def _entry(line: Line, folder: bytes) -> Entry:
    name = line.name_of(*PATH_FIELDS)
    if not name:
        raise line.wrong(f"it has no field {', '.join(map(repr, PATH_FIELDS[:-1]))} or {PATH_FIELDS[-1]!r}")
    held = dict(line.fields)
    text = held.pop(name, "")
    if not isinstance(text, str) or not text or "\0" in text:
        raise line.wrong(f"its {name} must be a path or an address (got {text!r})")
    try:
        where = url_of(text) if is_url(text) else _absolute(folder, local_path(text))
    except UsageError as error:
        raise line.wrong(str(error).removesuffix(".")) from error
    except UnicodeEncodeError as error:
        raise line.wrong(f"its {name} holds half a surrogate pair, which is no character") from error
    return Entry(line.number, where, columns_of(held))


def _absolute(folder: bytes, path: str) -> bytes:
    return os.path.normpath(os.path.join(folder, os.fsencode(path)))


@dataclass
class ListListing:
    """One look at everything that a list names: go through it once, then ask what was met."""

    target: ListTarget
    stop: threading.Event
    settling: Settling
    listed: int = 0
    not_video: int = 0
    links_out: int = 0
    named: Place | None = None
    failed: list[tuple[Place, str]] = field(default_factory=list)
    _recent: dict[Key, Url] = field(default_factory=dict)
    _folders: Folders = field(default_factory=Folders)

    def __iter__(self) -> Iterator[Place]:
        for place in self._places():
            self.listed += 1
            yield place

    def _places(self) -> Iterator[Place]:
        if self._has_changed():
            return
        both = zip(entries(self.target.file), self.target.repeated, strict=False)
        wanted = (entry for entry, is_repeated in both if not is_repeated)
        with ThreadPoolExecutor(_LOOKERS) as pool:
            while not self.stop.is_set() and (batch := list(islice(wanted, _BATCH))):
                yield from self._looked(pool, batch)
        yield from self.settling.settled()
        self._has_changed()

    @property
    def unstable(self) -> int:
        """Files that are still being written."""
        return self.settling.unstable

    def _has_changed(self) -> bool:
        """Whether the list itself is another by now, so that what it says was not checked."""
        is_same = has_stamp(os.fsencode(self.target.file), self.target.stamp)
        if not is_same:
            self.failed.append((Place(self.target.root, os.fsencode(self.target.file.name)), _CHANGED))
        return not is_same

    def _looked(self, pool: ThreadPoolExecutor, batch: list[Entry]) -> Iterator[Place]:
        """Files one by one, addresses many at once: each costs a round trip."""
        urls = [entry.where for entry in batch if isinstance(entry.where, Url)]
        stamps = iter(list(pool.map(_stamp_of_url, urls)))
        for entry in batch:
            place = Place(*self.target.naming.place(entry.where))
            try:
                if isinstance(entry.where, Url):
                    yield self._far(place, entry, entry.where, next(stamps))
                elif near := self._near(place, entry, entry.where):
                    yield near
            except OSError as error:
                self.failed.append((place, f"it cannot be read: {error.strerror}"))

    def _far(self, place: Place, entry: Entry, url: Url, stamp: str | OSError) -> Place:
        if isinstance(stamp, OSError):
            raise stamp
        if len(self._recent) >= _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[key_of(place)] = url
        return Place(place.root, place.path, stamp, entry.columns)

    def _near(self, place: Place, entry: Entry, file: bytes) -> Place | None:
        found = os.stat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EISDIR, "it is no file")
        place = Place(place.root, place.path, stamp_of(found), entry.columns)
        place, looked = self._folders.beside(file, place)
        if not any(map(self.settling.is_fresh, (found, *looked))):
            return place
        self.settling.put(place, file)
        return None

    def work(self, task: Task) -> Work:
        """What is to do at a place that it listed a moment ago. What the user has named must be a video."""
        place, spool = task.place, self.target.spool
        if url := self._recent.get(key_of(place)):
            return Work(task, remote=Remote(url, spool), columns=place.columns, named=True)
        file = self.target.naming.file(place)
        return Work(task, file, columns=place.columns, named=True)

    def whole(self, path: bytes) -> bool:
        """Never: what a list does not name is not gone."""
        return False


def _stamp_of_url(url: Url) -> str | OSError:
    try:
        return remote.stamp_of(remote.info_of(remote.files_of(url), url))
    except OSError as error:
        return error
