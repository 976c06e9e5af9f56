"""Which files a pattern names: none that is hidden, and none behind a link to a folder."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

MAGIC = re.compile(rb"[*?\[]")
_ANY_DEPTH = b"**"


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern below a folder. `passed`: called for each link to a folder that it meets."""

    folder: bytes
    pattern: bytes
    passed: Callable[[], None] = lambda: None

    def paths(self) -> Iterator[bytes]:
        """What matches, relative to the folder."""
        return self._within(b"", self.pattern.split(b"/"))

    def _within(self, inside: bytes, parts: list[bytes]) -> Iterator[bytes]:
        head, *rest = parts
        if head == _ANY_DEPTH:
            yield from self._within(inside, rest or [b"*"])
        for entry in self._entries(inside):
            path = os.path.join(inside, entry.name)
            if head == _ANY_DEPTH:
                if not _is_hidden(entry.name, head) and self._is_folder(entry):
                    yield from self._within(path, parts)
            elif _matches(entry.name, head):
                if not rest:
                    yield path
                elif self._is_folder(entry):
                    yield from self._within(path, rest)

    def _entries(self, inside: bytes) -> Iterator[os.DirEntry[bytes]]:
        with suppress(OSError), os.scandir(os.path.join(self.folder, inside)) as entries:
            yield from entries

    def _is_folder(self, entry: os.DirEntry[bytes]) -> bool:
        if entry.is_symlink() and entry.is_dir():
            self.passed()
        return entry.is_dir(follow_symlinks=False)


def _is_hidden(name: bytes, pattern: bytes) -> bool:
    return name.startswith(b".") and not pattern.startswith(b".")


def _matches(name: bytes, pattern: bytes) -> bool:
    if not MAGIC.search(pattern):
        return name == pattern
    return not _is_hidden(name, pattern) and fnmatch.fnmatchcase(name, pattern)
