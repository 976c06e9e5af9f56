"""Being told to end: a command by signals, the second of which ends it; work by who wanted it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

log = logging.getLogger(__name__)


class Stop(threading.Event):
    """Set by the first signal, whose number it keeps."""

    by = 0

    def tell(self) -> None:
        """Let everybody know."""
        self.set()
        log.warning("stopping; once more ends at once")


@contextmanager
def stopping(*further: signal.Signals) -> Iterator[Stop]:
    """A stop that the first signal sets; the second one ends the process at once. further: signals beside
    SIGINT and SIGTERM; what the process was told to ignore (nohup) stays ignored."""
    stop = Stop()
    heeded = [number for number in further if signal.getsignal(number) != signal.SIG_IGN]

    def stopped(number: int, frame: FrameType | None) -> None:
        if stop.by:
            os._exit(130)
        stop.by = number
        # From a thread of its own: what the signal has interrupted may hold the event's lock, since it waits
        # for it, or be writing to stderr.
        threading.Thread(target=stop.tell, daemon=True).start()

    held = {number: signal.signal(number, stopped) for number in (signal.SIGINT, signal.SIGTERM, *heeded)}
    try:
        yield stop
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, unless it has its own answer. The first process of a container
    would not heed it at all: the system ends no such process by a signal that it has said nothing about."""
    is_open = threading.current_thread() is threading.main_thread()
    if not is_open or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is signal.default_int_handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Unwanted(Exception):
    """Nobody waits any more for what is being done."""


_UNWANTED: ContextVar[threading.Event | None] = ContextVar("unwanted", default=None)


def until_set(unwanted: threading.Event) -> None:
    """From here on, and in threads begun from here, work goes on until that is set."""
    _UNWANTED.set(unwanted)


def require_wanted() -> None:
    """Between two steps of what may take long: Unwanted where nobody waits for it any more."""
    unwanted = _UNWANTED.get()
    if unwanted is not None and unwanted.is_set():
        raise Unwanted
