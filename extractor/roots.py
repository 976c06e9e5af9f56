"""What a root is called, and which known one holds a path."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.collections import is_name
from core.errors import UsageError
from core.types import Place
from extractor.url import Url


def name_root(folder: bytes, root: str = "", known: Mapping[str, Path] | None = None) -> tuple[str, bytes]:
    """The root's name and folder: as asked, else the longest known root that holds it, else its own name."""
    if root:
        return checked_root(root), folder
    return known_root(folder, known or {}) or _own_root(folder)


def known_root(path: bytes, known: Mapping[str, Path]) -> tuple[str, bytes] | None:
    """The longest known root that a path is or lies in, and its folder."""
    found = {os.path.abspath(os.fsencode(folder)): name for name, folder in known.items()}
    longest = max((folder for folder in found if is_inside(path, folder)), key=len, default=None)
    return None if longest is None else (found[longest], longest)


def _own_root(folder: bytes) -> tuple[str, bytes]:
    return os.path.basename(folder).decode(errors="replace") or "root", folder


def checked_root(root: str) -> str:
    """The name itself, if a root can be called so."""
    if not is_name(root):
        raise UsageError(f"--root {root!r} must be one word of a path, without '/'.")
    return root


def below(path: bytes, folder: bytes) -> bytes:
    """A path as seen from a folder that holds it."""
    return path[len(folder) :].lstrip(b"/")


def is_inside(path: bytes, folder: bytes) -> bool:
    """Whether a path is a folder's or lies in it; "" holds everything."""
    return not folder or path == folder or path.startswith(folder.rstrip(b"/") + b"/")


@dataclass(frozen=True, slots=True)
class Naming:
    """Which root each of many paths and addresses is of: the one asked for, else the longest known one
    that holds it, else their own deepest common folder, or the host."""

    asked: str = ""
    folders: tuple[tuple[bytes, str], ...] = ()  # the known ones, the longest first
    bases: Mapping[str, str] = field(default_factory=dict)  # "s3://bucket" → name
    own: tuple[str, bytes] = ("", b"")  # of what lies in none of these

    @classmethod
    def among(cls, asked: str, known: Mapping[str, Path], bases: Mapping[str, str]) -> Naming:
        """asked: the one name for all; else by the roots that are known, and where they lie."""
        if asked:
            return cls(checked_root(asked))
        folders = [(os.path.abspath(os.fsencode(folder)), name) for name, folder in known.items()]
        folders.sort(key=lambda each: len(each[0]), reverse=True)
        return cls("", tuple(folders), {base: name for name, base in bases.items()})

    def holding(self, file: bytes) -> Naming:
        """The same, with an own root that holds this file too."""
        folder = self.own[1]
        if self._known(file) or (folder and is_inside(file, folder)):
            return self
        held = os.path.dirname(file)
        folder = os.path.commonpath([folder, held]) if folder else held
        return replace(self, own=(self.asked or _own_root(folder)[0], folder))

    def require_one(self, bases: Collection[str]) -> None:
        """One name that was asked for cannot be that of several places."""
        places = [*bases, *([os.fsdecode(self.own[1])] if self.own[1] else [])]
        if self.asked and len(places) > 1:
            raise UsageError(f"--root {self.asked} cannot name {len(places)} places: {', '.join(places)}.")

    def place(self, where: bytes | Url) -> tuple[str, bytes]:
        """The root of a path or an address, and the path below it."""
        if isinstance(where, Url):
            return self.of_url(where.base), os.fsencode(where.path)
        folder, name = self._known(where) or (self.own[1], self.own[0])
        return name, below(where, folder)

    def of_url(self, base: str) -> str:
        """The root of all addresses that begin so."""
        protocol, _, host = base.partition("://")
        return self.asked or self.bases.get(base) or host or protocol

    def file(self, place: Place) -> bytes:
        """Where a place lies now."""
        return os.path.join(self._folders[place.root], place.path)

    def claims(self) -> dict[str, str]:
        """The folders of all these roots."""
        return {name: os.fsdecode(folder) for name, folder in self._folders.items()}

    @property
    def _folders(self) -> dict[str, bytes]:
        own = {self.own[0]: self.own[1]} if self.own[1] else {}
        return {name: folder for folder, name in self.folders} | own

    def _known(self, file: bytes) -> tuple[bytes, str] | None:
        return next((each for each in self.folders if is_inside(file, each[0])), None)
