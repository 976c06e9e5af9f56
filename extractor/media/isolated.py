"""A call in a process of its own: what crashes it, hangs it or eats its memory costs that call."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from core import logs
from core.errors import Error, VideoError
from core.stop import require_wanted
from extractor.media import fork, plain
from extractor.work import how_ended

log = logging.getLogger(__name__)
T = TypeVar("T")
_SAY_S = 10.0  # for all that it says, once it has begun
_LOOK_S = 0.05  # how soon it is noticed that nobody wants it any more


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may cost."""

    wall_s: float = 60.0
    cpu_s: float = 60.0
    memory_bytes: int = 2 << 30  # of address space, above what a fresh process has; 0: any
    log_format: logs.LogFormat = "text"
    log_level: int = 20


class LostError(VideoError):
    """The call's process is no more, and why. Where somebody else killed it, as a system without memory does,
    it is not the file's fault."""

    def __init__(self, message: str, *, is_chance: bool = False) -> None:
        super().__init__(message)
        self.http_status = 503 if is_chance else VideoError.http_status


def call(limits: Limits, name: str, function: Callable[..., T], *args: object) -> T:
    """What `function(*args)` returns, or the Error or OSError that it raises; where it does not come back, a
    LostError that speaks of `name`. Once nobody waits for it any more, it is ended, which is Unwanted. What
    it returns is a plain value: `extractor/media/plain.py`."""
    fork.prepare()
    process, line = fork.started(lambda: _begun(limits, name, logs.told(), function, args))
    try:
        if not _has_said(line, limits.wall_s):
            raise LostError(f"{name} cannot be decoded: it takes longer than {limits.wall_s:g} s.")
        said, is_lost = _read(name, _heard(process, line))
    except (EOFError, OSError):
        code = fork.ended(process)
        raise _lost(name, code) from None
    finally:
        process.kill()
        line.close()
        fork.ended(process)
    if is_lost:
        raise LostError(str(said))
    if isinstance(said, Exception):
        raise said
    found: T = said
    return found


def _has_said(line: Connection, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not line.poll(max(0.0, min(_LOOK_S, until - time.monotonic()))):
        require_wanted()
        if time.monotonic() >= until:
            return False
    return True


def _begun(
    limits: Limits, name: str, about: Mapping[str, str], function: Callable[..., T], args: tuple[Any, ...]
) -> Any:
    line, theirs = fork.pipe()
    try:
        return fork.process(_live, (theirs, limits, name, about, function, args)), line
    except BaseException:
        line.close()
        raise
    finally:
        theirs.close()


def _heard(process: BaseProcess, line: Connection) -> bytes:
    """What it says. One that stops in the middle of that is ended, so that nobody waits for the rest."""
    patience = threading.Timer(_SAY_S, process.kill)
    patience.daemon = True
    patience.start()
    try:
        return line.recv_bytes(plain.MOST_BYTES)
    finally:
        patience.cancel()


def _read(name: str, data: bytes) -> tuple[Any, bool]:
    try:
        said, is_lost = plain.read(data)
    except (plain.NotPlainError, ValueError, TypeError) as error:
        log.error("what a decoder says cannot be read error=%s", error)
        raise LostError(f"{name} cannot be decoded: what decoded it says what cannot be read.") from None
    return said, bool(is_lost)


def _lost(name: str, code: int | None) -> LostError:
    if code == -signal.SIGXCPU:
        return LostError(f"{name} cannot be decoded: it takes too much CPU time.")
    message = f"{name} cannot be decoded: what decoded it {how_ended(code)}."
    return LostError(message, is_chance=code == -signal.SIGKILL)


# --- the child's side ------------------------------------------------------------------------------------


def _live(
    line: Connection,
    limits: Limits,
    name: str,
    about: Mapping[str, str],
    function: Callable[..., T],
    args: tuple[Any, ...],
) -> None:
    fork.die_with_parent()
    logs.set_up(limits.log_format, limits.log_level)
    torch.set_num_threads(1)
    if limits.memory_bytes:
        fork.limit_memory(limits.memory_bytes)
    fork.limit_cpu(limits.cpu_s)
    with suppress(ConnectionError):
        with logs.about(**about):
            said = _answer(name, limits, function, args)
        line.send_bytes(plain.written([said, isinstance(said, LostError)]))


def _answer(name: str, limits: Limits, function: Callable[..., T], args: tuple[Any, ...]) -> T | Exception:
    too_much = LostError(
        f"{name} cannot be decoded: it takes more than {limits.memory_bytes / 2**30:g} GiB of memory."
    )
    try:
        return function(*args)
    except MemoryError:
        return too_much
    except (Error, OSError) as error:
        return too_much if isinstance(error.__cause__, MemoryError) else error
    except Exception as error:  # the process' edge: a bug that one file shows is told and logged here
        log.exception("pid=%d", os.getpid())
        return LostError(f"{name} cannot be decoded: reading it met a bug ({type(error).__name__}).")
