"""Whether anything came into folders, changed there or went: looked at by names, sizes and times alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_LEAST_S = 3.0  # between two looks
_SHARE = 30  # times as long as a look took, the next one waits


class Arrivals:
    """Folders that were taken in as they are when this is made."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._taken = self._seen = self._look()
        self._next = 0.0

    def are_due(self) -> bool:
        """Whether there is something else than what was taken in, as there was at the look before: what is
        still being copied is waited for. What is due counts as taken in from then on."""
        began = time.monotonic()
        if began < self._next:
            return False
        before, self._seen = self._seen, self._look()
        self._next = time.monotonic() + max(_LEAST_S, _SHARE * (time.monotonic() - began))
        if self._seen == self._taken or self._seen != before:
            return False
        self._taken = self._seen
        return True

    def _look(self) -> int:
        return hash(frozenset(_files(self._folders)))


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, int, int]]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                try:
                    found = os.stat(os.path.join(parent, name))
                except OSError:  # gone meanwhile, or a link to nothing
                    continue
                yield os.path.join(parent, name), found.st_size, found.st_mtime_ns
