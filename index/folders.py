"""Reading what lies in a store's folders: what may not be read is said, and never taken for nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import files
from core.errors import SnapshotError, StoreError


def names(folder: Path) -> list[str]:
    """What has its final name in a folder, sorted; nothing where there is no folder."""
    with files.reading(folder):  # not glob, to which an unreadable folder is an empty one
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except FileNotFoundError:
            return []


def exists(path: Path) -> bool:
    """Whether something is there; a StoreError where that cannot be told."""
    with files.reading(path):
        return path.exists()


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """A SnapshotError of one sentence for what keeps a part or a snapshot from being read."""
    try:
        with files.reading(path):
            yield
    except StoreError as error:
        raise SnapshotError(str(error)) from error
