"""Subtitles and transcripts that lie beside a video: which are whose, and what they say."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b

from core.types import Line, Place, Sidecar
from extractor.timed import parse

log = logging.getLogger(__name__)

KINDS = (b".srt", b".vtt", b".json")
_FOLDERS = 1_000  # whose names are remembered
MOST_BYTES = 16 << 20  # what is longer is no subtitles
_LANGUAGE = re.compile(rb"\.([a-zA-Z]{2,3}(?:-[a-zA-Z0-9]{2,8})*)$")
_MARK = re.compile(rb"\.(?:forced|default|sdh|cc)$", re.IGNORECASE)

Entry = os.DirEntry[bytes]


@dataclass
class Beside:
    """Those of one folder, by the names of videos that they may lie beside: a look at names and no more."""

    by_stem: dict[bytes, list[Entry]] = field(default_factory=dict)
    names: set[bytes] = field(default_factory=set)
    paired: set[bytes] = field(default_factory=set)

    @classmethod
    def among(cls, entries: Iterable[Entry]) -> Beside:
        """Of a folder's listing, which is sorted."""
        found = cls()
        for entry in entries:
            name = entry.name
            if name.endswith(KINDS) or name[-5:].lower().endswith(KINDS):
                found.names.add(name)
                stem = name[: name.rindex(b".")]
                for each in {stem, _untagged(stem)[0]}:
                    found.by_stem.setdefault(each, []).append(entry)
        return found

    def of(self, video: bytes) -> list[Entry]:
        """What lies beside a video of that name: `film.srt`, `film.en.srt`, `film.en.forced.vtt`."""
        if not self.by_stem:
            return []
        found = self.by_stem.get(video.rpartition(b".")[0] or video, [])
        self.paired.update(entry.name for entry in found)
        return found


class Folders:
    """The same of places whose folders are not being listed: each is, once, for all that are met in it."""

    def __init__(self) -> None:
        self._beside = lru_cache(maxsize=_FOLDERS)(_listed)

    def beside(self, file: bytes, place: Place) -> tuple[Place, list[os.stat_result]]:
        """A place with what lies beside its file, and the looks at that."""
        folder, name = os.path.split(file)
        prefix = place.path[: len(place.path) - len(os.path.basename(place.path))]
        held: list[Sidecar] = []
        looked: list[os.stat_result] = []
        for entry in self._beside(folder).of(name):
            with suppress(OSError):  # gone, or not to be seen
                found = entry.stat()
                if stat.S_ISREG(found.st_mode):
                    held.append(Sidecar(prefix + entry.name, f"{found.st_size}-{found.st_mtime_ns}"))
                    looked.append(found)
        return replace(place, sidecars=tuple(sorted(held, key=lambda each: each.path))), looked


def _listed(folder: bytes) -> Beside:
    try:
        with os.scandir(folder) as entries:
            return Beside.among(entries)
    except OSError:  # what can be read need not be listed
        return Beside()


def _untagged(stem: bytes) -> tuple[bytes, str]:
    """A name without marks and language, and the language."""
    while mark := _MARK.search(stem):
        stem = stem[: mark.start()]
    language = _LANGUAGE.search(stem)
    return (stem[: language.start()], language[1].decode()) if language else (stem, "")


def language_of(sidecar: bytes, video: bytes) -> str:
    """What the file's name says, if it says more than the video's."""
    stem = os.path.basename(sidecar).rpartition(b".")[0]
    own = os.path.basename(video).rpartition(b".")[0]
    return "" if stem == own else _untagged(stem)[1]


@dataclass(frozen=True, slots=True)
class Told:
    """A sidecar that was read, by its content, and its lines."""

    sidecar: Sidecar
    lines: tuple[Line, ...]


def read(video: bytes, sidecar: Sidecar) -> Told | None:
    """What a sidecar of the video at that path says; None where it cannot be read or has changed since."""
    path = os.path.join(os.path.dirname(video), os.path.basename(sidecar.path))
    try:
        data, stamp = _bytes(path)
    except OSError as error:
        log.warning("a sidecar cannot be read path=%s error=%s", os.fsdecode(path), error.strerror)
        return None
    if stamp != sidecar.stamp:
        log.warning("a sidecar changed while it was read path=%s", os.fsdecode(path))
        return None
    kind, language = path.rpartition(b".")[2].lower().decode(), language_of(path, video)
    # Its name says how it is to be read, so that belongs to what it is.
    hashed = blake2b(f"{kind} {language}\n".encode() + data, digest_size=16).hexdigest()
    named = replace(sidecar, hash=hashed)
    if len(data) > MOST_BYTES:
        log.warning(
            "a sidecar is too long to be subtitles path=%s bytes=%s",
            os.fsdecode(path),
            stamp.partition("-")[0],
        )
        return Told(named, ())
    timed = parse(data, kind, language)
    if timed.bad:
        log.warning("parts of a sidecar make no sense path=%s parts=%d", os.fsdecode(path), timed.bad)
    elif not timed.lines and kind in ("srt", "vtt") and data.strip() not in (b"", b"WEBVTT"):
        log.warning("a sidecar has no lines path=%s", os.fsdecode(path))
    return Told(named, timed.lines)


def _bytes(path: bytes) -> tuple[bytes, str]:
    """No more than is looked at, and the stamp of the file they are of."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is no plain file")
        return file.read(MOST_BYTES + 1), f"{found.st_size}-{found.st_mtime_ns}"
