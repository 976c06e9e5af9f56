"""Decoders that are stopped or killed before they have looked at anything, so that none has to be slow."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from extractor.media import fork
from tests.server.worlds import until


class Decoders:
    """The processes that decode. Each sends itself a signal first, while there is one to send."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signals: list[signal.Signals] = []
        self.pids: SimpleQueue[int] = SimpleQueue()
        begin = fork.process

        def process(live: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
            if not self.signals:
                return begin(live, args)
            sent = self.signals.pop()
            begun = begin(after, (sent, live, *args))
            assert begun.pid
            if sent == signal.SIGSTOP:
                until(lambda: is_stopped(begun.pid or 0))
            self.pids.put(begun.pid)
            return begun

        monkeypatch.setattr(fork, "process", process)


def after(sent: signal.Signals, live: Callable[..., None], *args: Any) -> None:
    """The child's side."""
    os.kill(os.getpid(), sent)
    live(*args)


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
