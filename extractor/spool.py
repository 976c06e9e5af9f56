"""What addresses name, kept for a while in a bounded folder: FFmpeg opens files of this machine only."""

from __future__ import annotations

import errno
import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from core import files
from core.types import Place
from extractor import remote
from extractor.find import has_stamp
from extractor.work import Remote, Work

TRIES = 4
WAIT_S = 0.5  # before the second try; then twice as long each time
_LOOK_S = 0.2  # how often somebody who waits for room looks again
_DRAFT = ".draft-"
_LONGEST_NAME = 200  # bytes
# What the next try would be told too; a full disk too, until somebody makes room.
_FINAL = (errno.ENOENT, errno.EACCES, errno.ENOSPC)
Beat = Callable[[], None]


class ChangedError(Exception):
    """It is no longer what was listed."""


def _no_beat() -> None:
    """For those who are not watched."""


@contextmanager
def spooled(work: Work, beat: Beat = _no_beat) -> Iterator[bytes]:
    """The file on this machine that holds a place's bytes, for as long as the block lasts.

    An OSError where it cannot be had now; ChangedError where it has become another.
    """
    if work.remote is None:
        yield work.file
        return
    spool = _Spool(work.remote, work.place, beat)
    with spool.held() as file:
        yield os.fsencode(file)


def is_unchanged(work: Work) -> bool:
    """Whether a place still has the stamp that was listed. What is spooled is of that stamp, and stays so."""
    return work.remote is not None or has_stamp(work.file, work.place.stamp)


class _Spool:
    """One object in the folder. A lock is a process' own, and ends with it: nothing outlives a kill -9."""

    def __init__(self, asked: Remote, place: Place, beat: Beat) -> None:
        self._url, self._folder, self._most = asked.url, asked.spool.folder, asked.spool.most_bytes
        self._stamp, self._size, self._beat = place.stamp, remote.size_of(place.stamp), beat
        name = f"{place.root}\0{asked.url.base}\0{asked.url.path}\0{place.stamp}"
        digest = blake2b(name.encode(errors="surrogateescape"), digest_size=16).hexdigest()
        self._path = self._folder / digest / _file_name(asked.url.path)  # named as messages name it

    @contextmanager
    def held(self) -> Iterator[Path]:
        """The whole object; while it is held nobody makes room with it."""
        file = self._found() or self._fetched()
        with file:
            yield self._path

    def _found(self) -> BinaryIO | None:
        with suppress(FileNotFoundError):
            file = self._path.open("rb")
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file.fileno()).st_nlink:  # nobody took it away before it was locked
                os.utime(self._path)
                return file
            file.close()
        return None

    def _fetched(self) -> BinaryIO:
        if self._size > self._most:
            raise OSError(errno.EFBIG, f"its {self._size} bytes are more than --spool-gb lets be kept")
        draft, file = self._reserved()
        try:
            self._fetch(file)
            file.flush()
            os.fsync(file.fileno())
            with files.locked(
                self._folder / "lock"
            ):  # without which one lock does not become another in one step
                if other := self._found():  # somebody has fetched it meanwhile
                    draft.unlink()
                    file.close()
                    return other
                self._path.parent.mkdir(exist_ok=True)
                os.rename(draft, self._path)
                fcntl.flock(file, fcntl.LOCK_SH)
        except BaseException:
            draft.unlink(missing_ok=True)
            file.close()
            raise
        return file

    # --- the bytes -----------------------------------------------------------------------------------

    def _fetch(self, file: BinaryIO) -> None:
        """All of it, going on where a connection broke off, and still the version that was listed."""
        source = remote.files_of(self._url)
        failed, furthest = 0, 0
        while True:
            try:
                self._require_same(source)
                for block in remote.blocks(source, self._url, file.tell(), self._size):
                    self._beat()
                    file.write(block)
                if file.tell() == self._size:
                    return self._require_same(source)
                raise OSError(errno.EIO, f"it ended after {file.tell()} of {self._size} bytes")
            except OSError as error:
                failed = 1 if file.tell() > furthest else failed + 1
                if failed == TRIES or error.errno in _FINAL:
                    raise
                furthest = max(furthest, file.tell())
                if error.errno == errno.ESPIPE:
                    file.seek(0)
                    file.truncate()
            self._wait(WAIT_S * 2 ** (failed - 1))

    def _require_same(self, source: object) -> None:
        if remote.stamp_of(remote.info_of(source, self._url)) != self._stamp:
            raise ChangedError

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._beat()
            time.sleep(min(_LOOK_S, max(0.0, until - time.monotonic())))

    # --- room ----------------------------------------------------------------------------------------

    def _reserved(self) -> tuple[Path, BinaryIO]:
        """A draft to fill, once there is room for it. Its name says how much it will take."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{_DRAFT}{self._size}-{uuid.uuid4().hex}"
        while True:
            with files.locked(self._folder / "lock"):
                if self._has_room():
                    file = draft.open("xb")
                    fcntl.flock(file, fcntl.LOCK_EX)
                    return draft, file
            self._wait(_LOOK_S)

    def _has_room(self) -> bool:
        """Whether it fits, when what nobody uses has made way, the longest unused first."""
        drafts = [path for path in self._folder.glob(f"{_DRAFT}*") if not _taken_away(path)]
        taken = sum(int(path.name.removeprefix(_DRAFT).partition("-")[0]) for path in drafts)
        unused = []
        for path in self._folder.glob("[!.]*/*"):
            found = path.stat()
            taken += found.st_size
            unused.append((found.st_mtime_ns, found.st_size, path))
        for _, size, path in sorted(unused):
            if taken + self._size <= self._most:
                break
            if _taken_away(path):
                taken -= size
                path.parent.rmdir()
        return taken + self._size <= self._most


def _file_name(path: str) -> str:
    """The last part of a path, as a name that any file system takes."""
    name = os.fsencode(path.rpartition("/")[2].replace("\0", ""))[-_LONGEST_NAME:]
    return os.fsdecode(b"object" if name in (b"", b".", b"..") else name)


def _taken_away(path: Path) -> bool:
    """Remove a file unless somebody uses it: who was killed uses nothing any more."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
