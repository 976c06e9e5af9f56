"""Where the files of a library lie now, and one of them opened: never by a name that a client gave."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from core.files import stamp_of
from core.types import Place
from index.sources import SourceInfo
from server.errors import ApiError

log = logging.getLogger(__name__)
_FOR_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)  # no word of the file itself
_INTO = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe is not waited for


@dataclass(frozen=True)
class OpenFile:
    """A plain file of a source, as it was embedded. Who gets it closes it."""

    file: FileIO
    path: Path  # in which no step is a link
    place: Place
    found: os.stat_result

    @property
    def descriptor(self) -> int:
        return self.file.fileno()

    def fits(self) -> bool:
        """Whether nobody has written into it since it was opened."""
        return stamp_of(os.fstat(self.descriptor)) == self.place.stamp

    def is_still_there(self) -> bool:
        """Whether its name has led to it all the time, and nobody has written into it."""
        try:
            return os.path.samestat(os.stat(self.path), self.found) and self.fits()
        except OSError:
            return False

    def close(self) -> None:
        self.file.close()


@dataclass(frozen=True, slots=True)
class Folders:
    """The roots of a library, as of the last look."""

    folders: Mapping[str, Path] = field(default_factory=dict)
    far: frozenset[str] = frozenset()  # roots behind URLs
    is_known: bool = True  # or there is a store alone, which does not say where files lie

    def may_have(self, info: SourceInfo) -> bool:
        """Whether a file of it may be there; nothing is looked at."""
        return any(
            place.root in self.folders and not place.stamp.startswith("rows-") for place in info.places
        )

    def open(self, info: SourceInfo) -> OpenFile:
        """The first of a source's places whose file is the one that was embedded; or an ApiError."""
        why = "it is a text" if info.text else "no place of it is known"
        for place in info.places if not info.text else ():
            found = self._opened(place)
            if isinstance(found, OpenFile):
                return found
            why = found
        raise ApiError(404, f"video_id: there is no file of {info.id!r} here: {why}.", "video_id")

    def _opened(self, place: Place) -> OpenFile | str:
        folder = self.folders.get(place.root)
        if place.stamp.startswith("rows-"):
            return "its vectors were imported without a file"
        if place.root in self.far:
            return "it lies behind a URL"
        if folder is None:
            return f"its root {place.root!r} is not known" if self.is_known else "no root is known to a store"
        try:
            return _opened(folder, place)
        except (FileNotFoundError, NotADirectoryError):
            return "it is gone"
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _FOR_NOW:
                log.error("a file cannot be opened now root=%s error=%s", place.root, error.strerror)
                raise ApiError(503, "The file cannot be opened now; the log has it by the id.") from error
            return "it cannot be read"


def _opened(folder: Path, place: Place) -> OpenFile | str:
    root = os.path.realpath(os.fsencode(folder), strict=True)
    real = os.path.realpath(os.path.join(root, place.path), strict=True)
    if os.path.commonpath([root, real]) != root or real == root:
        return "it lies outside of its root's folder"
    file = _beneath(root, real[len(root) :].strip(b"/").split(b"/"))
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and stamp_of(found) == place.stamp:
        return OpenFile(file, Path(os.fsdecode(real)), place, found)
    file.close()
    return "it has changed since it was embedded"


def _beneath(root: bytes, steps: list[bytes]) -> FileIO:
    """A step at a time, since no step is a link: one that has become a link meanwhile leads nowhere."""
    at = os.open(root, _INTO)
    try:
        for step in steps[:-1]:
            deeper = os.open(step, _INTO, dir_fd=at)
            os.close(at)
            at = deeper
        return FileIO(os.open(steps[-1], _READ, dir_fd=at))
    finally:
        os.close(at)
