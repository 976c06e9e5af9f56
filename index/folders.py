"""What keeps a part or a snapshot from being read, said as such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import files
from core.errors import SnapshotError, StoreError


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """A SnapshotError of one sentence for what keeps a part or a snapshot from being read."""
    try:
        with files.reading(path):
            yield
    except StoreError as error:
        raise SnapshotError(str(error)) from error
