"""Processes that a server with PyAV and torch loaded is forked into: one is there in milliseconds, dies with
its parent, and is held to so much memory and time."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from core.errors import Error

T = TypeVar("T")
_AGAIN_S = 0.05
_END_S = 2.0  # for one that was killed; who waits for a dead disk cannot even be killed
_TEMPDIR = 70  # characters; what multiprocessing puts behind them takes up to 30
_PARENTS = (signal.SIGINT, signal.SIGTERM)  # what ends a run is heard by the parent only
_LOADED = ("extractor.media.children", "extractor.media.isolated", "extractor.media.unknown")
_preparing = threading.Lock()  # while names are short, all of this process has them
_starting = threading.Lock()  # multiprocessing's lists of processes are not made for several threads


def prepare() -> None:
    """Let the server that children are forked from load what they need, beside whatever this process does.
    Where there is one, nothing happens."""
    forkserver.set_forkserver_preload([*_LOADED])
    with _preparing, _signals_held(), _short_names():
        forkserver.ensure_running()


def started(start: Callable[[], T]) -> T:
    """What this starts, also where somebody has just killed the fork server; an Error that says why not."""
    until = time.monotonic() + _END_S
    try:
        while True:
            # Once the killed one is gone, another one is started.
            with suppress(EOFError, ConnectionError):
                return start()
            if time.monotonic() > until:
                return start()
            time.sleep(_AGAIN_S)
    except (OSError, EOFError) as error:  # no file's fault
        raise Error(f"A decoder cannot be started: {_why(error)}.") from error


def process(live: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
    """One that has begun."""
    context = multiprocessing.get_context("forkserver")
    with _signals_held(), _starting:
        begun = context.Process(target=live, args=args, daemon=True)
        begun.start()
    return begun


def pipe() -> tuple[Connection, Connection]:
    """Our end, and the one that a process is given."""
    return multiprocessing.get_context("forkserver").Pipe()


def ended(process: BaseProcess) -> int | None:
    """The exit code of one that is ending by itself; it has a moment for that. None where even SIGKILL does
    not reach it."""
    if not wait([process.sentinel], _END_S):
        process.kill()
        wait([process.sentinel], _END_S)
    with _starting:
        return process.exitcode


def _why(error: OSError | EOFError) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C reaches all of a terminal's processes, at any time: none that is started now hears it."""
    resource_tracker.ensure_running()  # which would unblock the signals on its way
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _short_names() -> Iterator[None]:
    """A socket's path has room for some hundred characters: a longer TMPDIR is left aside for it."""
    before = tempfile.tempdir
    if len(tempfile.gettempdir()) > _TEMPDIR and os.access("/tmp", os.W_OK):
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = before


# --- the child's side ------------------------------------------------------------------------------------


def die_with_parent() -> None:
    """The parent alone holds the other end of this pipe. When it goes, the system ends this process, even one
    that hangs in a codec with the interpreter's lock."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)


def limit_memory(more_bytes: int) -> None:
    """Allocations beyond it fail in this process, which says so, instead of taking the machine's memory."""
    with suppress(FileNotFoundError):  # not every system tells
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def limit_cpu(more_s: float) -> None:
    """The system ends this process (SIGXCPU) once it has used so much more, whatever it hangs in."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = ceil(used.ru_utime + used.ru_stime + more_s)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
