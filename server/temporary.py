"""Folders for what is there for a moment: gone behind it, and at last also behind whoever was killed."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core import files

log = logging.getLogger(__name__)
_PREFIX = "cinedex-served-"
_MADE_S = 60.0  # an older one is locked, or nobody's


@contextmanager
def folder() -> Iterator[Path]:
    """An empty one, locked for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, files.folder_locked(Path(name)):
        yield Path(name)


def sweep() -> None:
    """Take away what servers that were killed have left here."""
    with suppress(OSError):  # there is no such place: who needs one is told
        for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _sweep(path)


def _sweep(path: Path) -> None:
    with suppress(OSError):  # somebody else's, in use, or gone
        held = path.lstat()
        if held.st_uid != os.getuid() or time.time() - held.st_mtime < _MADE_S:
            return
        with files.folder_locked(path):
            shutil.rmtree(path)
        log.info("swept folder=%s", path.name)
