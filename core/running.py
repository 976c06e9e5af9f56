"""What runs on a data folder now: a small file in running/ for each, written again while it lives."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core import files

FOLDER = "running"
BEAT_S, STALE_S = 2.0, 30.0
_END_S = 5.0  # for the last beat, where a network disk hangs
Facts = Mapping[str, int | float | str]


@dataclass(slots=True)
class Beat:
    """What a verb tells of itself: it sets, and a thread writes down."""

    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """A verb at work, as of its last beat; times in seconds since 1970."""

    verb: str
    pid: int
    host: str
    started: float
    beat: float
    facts: Facts = field(default_factory=dict)

    def is_alive(self, now: float) -> bool:
        """Whether it beat a moment ago and, where that can be told, its process is there."""
        if now - self.beat > STALE_S:
            return False
        return self.host != socket.gethostname() or _is_there(self.pid)


@contextmanager
def running(data: Path, verb: str, facts: Facts | None = None) -> Iterator[Beat]:
    """Tell who asks that this verb runs, for as long as the block does. A data folder that is not there yet
    is not made, and one that cannot be written is no hindrance."""
    beat, ended = Beat(facts or {}), threading.Event()
    path = data / FOLDER / f"{verb.replace(' ', '-')}-{os.getpid()}-{uuid.uuid4().hex[:8]}.json"
    thread = threading.Thread(target=_keep, args=(path, verb, beat, ended), name="beat", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        ended.set()
        thread.join(_END_S)


def _keep(path: Path, verb: str, beat: Beat, ended: threading.Event) -> None:
    started = time.time()
    _sweep(path.parent)
    while True:
        now = Running(verb, os.getpid(), socket.gethostname(), started, time.time(), beat.facts)
        with suppress(OSError):
            _write(path, now)
        if ended.wait(BEAT_S):
            break
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()  # the last one; another one's beat makes it again


def _write(path: Path, now: Running) -> None:
    """Whole, but not synced: after a power cut nothing runs."""
    if not path.parent.parent.is_dir():
        return
    path.parent.mkdir(exist_ok=True)
    temp = path.with_name(f"{files.TEMP}{path.name}")
    temp.write_text(json.dumps(asdict(now)))
    os.replace(temp, path)


def _sweep(folder: Path) -> None:
    """What killed ones have left."""
    for path, found in _read(folder):
        if found is None or not found.is_alive(time.time()):
            with suppress(OSError):
                path.unlink()


def runs(data: Path) -> list[Running]:
    """What is at work on a data folder now, the oldest first."""
    now = time.time()
    found = [each for _, each in _read(data / FOLDER) if each is not None and each.is_alive(now)]
    return sorted(found, key=lambda each: each.started)


def _read(folder: Path) -> Iterator[tuple[Path, Running | None]]:
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError:
        return
    for path in paths:
        try:
            yield path, Running(**json.loads(path.read_bytes()))
        except FileNotFoundError:  # it has just ended
            continue
        except (OSError, ValueError, TypeError):
            yield path, None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
