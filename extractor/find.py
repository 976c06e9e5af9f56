"""`--videos` → places, by names and stamps alone."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile
from pathlib import Path
from typing import Literal

from core.errors import UsageError
from core.files import stamp_of
from core.log import Task
from core.types import Place, Sidecar
from extractor.globs import MAGIC, Glob
from extractor.roots import below, is_inside, name_root
from extractor.sidecars import Beside, Folders
from extractor.work import Work

SETTLE_S = 2.0  # a file that changed this recently may still be being written
_OF_ONE_FOLDER = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)

# Never opened. Pictures that may move (gif, webp, apng, avif, heic) and sound containers that may
# hold a video (ogg, asf, rm) are not among them.
NO_VIDEO = frozenset(
    b"jpg jpeg jpe jfif png bmp tif tiff ico svg psd xcf raw cr2 cr3 nef arw dng orf rw2 exr hdr tga eps "
    b"txt md rst log nfo pdf doc docx odt rtf tex epub mobi djvu htm html xhtml css xml xmp yml yaml toml "
    b"ini cfg conf json jsonl ndjson csv tsv xls xlsx ods ppt pptx odp key pages numbers "
    b"srt vtt ass ssa sub idx sbv lrc edl fcpxml prproj aep drp "
    b"zip tar gz tgz bz2 tbz xz txz zst lz4 7z rar jar whl deb rpm iso dmg img cab "
    b"mp3 flac wav wave aif aiff m4a m4b aac oga opus wma mid midi amr ape mka cue m3u pls "
    b"py pyc ipynb js mjs tsx jsx c h cc cpp hpp rs go java kt swift rb pl php sh bash bat ps1 exe dll so "
    b"o a dylib class sql db sqlite sqlite3 npy npz parquet arrow feather h5 hdf5 pkl pt pth ckpt onnx "
    b"safetensors faiss bin part partial crdownload download aria2 tmp temp swp lock bak torrent url "
    b"lnk ds_store ttf otf woff woff2".split()
)


@dataclass(frozen=True, slots=True)
class Target:
    """What `--videos` named, and the root that its places belong to."""

    root: str
    folder: bytes  # the root's, absolute
    kind: Literal["folder", "file", "glob"]
    below: bytes = b""  # relative to the root: the folder, the file or the pattern
    without: frozenset[bytes] = frozenset()  # folders that are not looked into: our own data

    def file(self, place: Place) -> bytes:
        """Where a place lies now."""
        return os.path.join(self.folder, place.path)

    @property
    def shown(self) -> str:
        return os.path.join(self.folder, self.below).decode(errors="replace").rstrip("/")

    def claims(self) -> dict[str, str]:
        """The roots that its places are of, and where they lie."""
        return {self.root: os.fsdecode(self.folder)}


def target_of(
    asked: str, root: str = "", known: Mapping[str, Path] | None = None, without: Iterable[Path] = ()
) -> Target:
    """What `--videos` means: a folder, one file, or a glob, whichever is there."""
    path = os.path.abspath(os.fsencode(asked))
    ours = frozenset(os.path.abspath(os.fsencode(folder)) for folder in without)
    if os.path.isdir(path):
        name, folder = name_root(path, root, known)
        return Target(name, folder, "folder", below(path, folder), ours)
    if os.path.lexists(path):
        if not stat.S_ISREG(_stat_named(path).st_mode):
            raise UsageError(f"--videos {asked} is neither a folder nor a file.")
        name, folder = name_root(os.path.dirname(path), root, known)
        return Target(name, folder, "file", below(path, folder), ours)
    if not MAGIC.search(path):
        raise UsageError(f"--videos {asked} does not exist.")
    name, folder = name_root(_fixed_part(path), root, known)
    return Target(name, folder, "glob", below(path, folder), ours)


def _fixed_part(pattern: bytes) -> bytes:
    parts = pattern.split(b"/")
    fixed = next(i for i, part in enumerate(parts) if MAGIC.search(part))
    return b"/".join(parts[:fixed]) or b"/"


def _stat_named(path: bytes) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise UsageError(f"{os.fsdecode(path)} cannot be read: {error.strerror}.") from error


@dataclass
class Settling:
    """Files that changed a moment ago: each is waited for once, or left to who looks again anyway."""

    stop: threading.Event
    seconds: float = SETTLE_S
    waits: bool = True
    unstable: int = 0  # still being written
    _fresh: list[tuple[Place, bytes]] = field(default_factory=list)

    @property
    def horizon_ns(self) -> int:
        """What changed later than that may still be written."""
        return time.time_ns() - int(self.seconds * 1e9)

    def is_fresh(self, found: os.stat_result) -> bool:
        """Whether it changed a moment ago, by either clock."""
        return abs(time.time_ns() - found.st_mtime_ns) < self.seconds * 1e9

    def put(self, place: Place, file: bytes) -> None:
        """Leave a fresh file for later."""
        self._fresh.append((place, file))

    def settled(self) -> Iterator[Place]:
        """What has not changed any more."""
        if self._fresh and self.waits:
            self.stop.wait(self.seconds)
        for place, file in () if self.stop.is_set() else self._fresh:
            if self.waits and has_stamp(file, place.stamp):
                yield place
            else:
                self.unstable += 1


@dataclass
class Listing:
    """One look at the names and stamps of a target: go through it once, then ask what was met."""

    target: Target
    stop: threading.Event = field(default_factory=threading.Event)  # set, it ends where it is
    settling: Settling | None = None
    listed: int = 0  # places handed out
    not_video: int = 0  # by their suffix, never opened
    links_out: int = 0  # links that lead out of the root, or to folders, and are not followed
    named: Place | None = None  # the one file that was asked for, once it was met
    errors: dict[bytes, str] = field(default_factory=dict)  # what could not be listed, and why
    _has_broken: bool = False  # the disk has failed half-way: what it showed before may be wrong too

    def __post_init__(self) -> None:
        self._settling = self.settling or Settling(self.stop)
        self._folders = Folders()

    def __iter__(self) -> Iterator[Place]:
        walk = {"folder": self._folder, "file": self._file, "glob": self._glob}[self.target.kind]
        for places in chain(walk(), ([place] for place in self._settling.settled())):
            self.listed += len(places)
            yield from places

    @property
    def unstable(self) -> int:
        """Files that are still being written."""
        return self._settling.unstable

    @property
    def failed(self) -> Iterator[tuple[Place, str]]:
        """What could not be listed, and why."""
        return ((Place(self.target.root, path), error) for path, error in self.errors.items())

    def work(self, task: Task) -> Work:
        """What is to do at a place that it listed."""
        return Work(task, self.target.file(task.place), named=self.target.kind == "file")

    def _folder(self) -> Iterator[list[Place]]:
        stack = [self.target.below]
        while stack and not self.stop.is_set():
            inside = stack.pop()
            try:
                with os.scandir(os.path.join(self.target.folder, inside) or b".") as found:
                    entries = sorted(found, key=_name)
            except OSError as error:
                self.errors[inside] = f"cannot be listed: {error.strerror}"
                self._has_broken |= error.errno not in _OF_ONE_FOLDER
                continue
            prefix = inside + b"/" if inside else b""
            folders: list[bytes] = []
            yield self._entries(entries, prefix, folders)
            stack += reversed(folders)

    def _entries(
        self, entries: Iterable[os.DirEntry[bytes]], prefix: bytes, folders: list[bytes]
    ) -> list[Place]:
        places: list[Place] = []
        root, horizon = self.target.root, self._settling.horizon_ns
        entries = list(entries)
        beside, loose = Beside.among(entries), list[bytes]()
        for entry in entries:
            name = entry.name
            if name[:1] == b".":
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in self.target.without:
                    folders.append(prefix + name)
            elif name.rpartition(b".")[2].lower() in NO_VIDEO and is_no_video(name):
                if name in beside.names:
                    loose.append(name)
                else:
                    self.not_video += 1
            elif found := self._stat(entry, prefix):
                changed = found.st_mtime_ns
                place = Place(root, prefix + name, f"{found.st_size}-{changed}")
                is_fresh = changed > horizon and self._settling.is_fresh(found)
                if mine := beside.of(name):
                    place, is_late = self._with(place, mine, prefix)
                    is_fresh |= is_late
                if is_fresh:
                    self._settling.put(place, self.target.file(place))
                else:
                    places.append(place)
        self.not_video += sum(name not in beside.paired for name in loose)
        return places

    def _with(self, place: Place, mine: list[os.DirEntry[bytes]], prefix: bytes) -> tuple[Place, bool]:
        """A place with what lies beside it, and whether some of that may still be being written."""
        looked = [(prefix + entry.name, found) for entry in mine if (found := self._stat(entry, prefix))]
        held = tuple(Sidecar(path, stamp_of(found)) for path, found in sorted(looked, key=_path))
        return replace(place, sidecars=held), any(self._settling.is_fresh(found) for _, found in looked)

    def _stat(self, entry: os.DirEntry[bytes], prefix: bytes) -> os.stat_result | None:
        try:
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                return found
            return self._linked(prefix + entry.name) if stat.S_ISLNK(found.st_mode) else None
        except FileNotFoundError:
            return None  # gone between the listing and here
        except OSError as error:
            self.errors[prefix + entry.name] = f"cannot be read: {error.strerror}"
            return None

    def _linked(self, inside: bytes) -> os.stat_result | None:
        real = os.path.realpath(os.path.join(self.target.folder, inside))
        try:
            found = os.stat(real)
        except FileNotFoundError:
            return None  # a broken link is no file
        except OSError as error:
            self.errors[inside] = f"cannot be read: {error.strerror}"
            return None
        if stat.S_ISREG(found.st_mode) and is_inside(real, os.path.realpath(self.target.folder)):
            return found
        self.links_out += 1
        return None

    def _file(self) -> Iterator[list[Place]]:
        found = self._named(self.target.below)
        self.named = found[0] if found else None
        yield found

    def _glob(self) -> Iterator[list[Place]]:
        found = Glob(self.target.folder, self.target.below, self._count_link).paths()
        for inside in sorted(set(takewhile(lambda _: not self.stop.is_set(), found))):
            path = os.path.join(self.target.folder, inside)
            if os.path.isdir(path):
                continue
            if is_no_video(inside):
                self.not_video += 1
            elif not (os.path.islink(path) and self._linked(inside) is None):
                yield self._named(inside)

    def _count_link(self) -> None:
        self.links_out += 1

    def _named(self, inside: bytes) -> list[Place]:
        try:
            found = os.stat(os.path.join(self.target.folder, inside))
        except OSError as error:
            self.errors[inside] = f"cannot be read: {error.strerror}"
            return []
        if not stat.S_ISREG(found.st_mode):
            return []
        file = os.path.join(self.target.folder, inside)
        place, looked = self._folders.beside(file, Place(self.target.root, inside, stamp_of(found)))
        if any(map(self._settling.is_fresh, (found, *looked))):
            self._settling.put(place, self.target.file(place))
            return []
        return [place]

    def whole(self, path: bytes) -> bool:
        """Whether the folder of a path was listed whole, so that what was not met is not there."""
        if self.target.kind != "folder" or self._has_broken or not is_inside(path, self.target.below):
            return False
        return not any(is_inside(path, broken) for broken in self.errors)


def _name(entry: os.DirEntry[bytes]) -> bytes:
    return entry.name


def _path(looked: tuple[bytes, os.stat_result]) -> bytes:
    return looked[0]


def is_no_video(name: bytes) -> bool:
    """Whether its suffix says that it is something else."""
    _, dot, suffix = name.rpartition(b".")
    return suffix.lower() in NO_VIDEO and dot == b"."


def has_stamp(file: bytes, stamp: str) -> bool:
    """Whether the file is still the one that was listed."""
    try:
        return stamp_of(os.stat(file)) == stamp
    except OSError:
        return False


def is_gone(file: bytes) -> bool:
    """Whether a stat says that there is no such file; a refused stat says nothing."""
    try:
        os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
