"""A folder for what a process needs only while it lives; what a killed one left, the next takes away."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """An empty folder on this machine, gone after the block."""
    prefix = f"cinedex-{name}-"
    _sweep(Path(tempfile.gettempdir()), prefix)
    named = tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-")
    with named as folder, Path(folder, _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def _sweep(parent: Path, prefix: str) -> None:
    """What of ours nobody holds any more. A process of another container has a number that may be nobody's
    here, but its lock is one here too."""
    for path in parent.glob(f"{prefix}*-*"):
        pid = path.name.removeprefix(prefix).partition("-")[0]
        with suppress(OSError):
            if pid.isdecimal() and not _is_alive(int(pid)) and _is_own_folder(path):
                with (path / _LOCK).open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)


def _is_own_folder(path: Path) -> bool:
    """And no link to one: anybody may put something there."""
    return path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.geteuid()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
