"""Batches made in a process of their own, one ahead of who asks: rendering is plain Python, and would leave
all cores but one idle between steps."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, Self, TypeVar

Shown = TypeVar("Shown")
_AT_MOST_S = 5.0  # for it to end
_ENDED = "The process that makes batches has ended: it was killed, or ran out of memory."


class Ahead(Generic[Shown]):
    """Of numbers that are asked for one after the other; others are made when they are asked for."""

    def __init__(self, make: Callable[[int], Shown]) -> None:
        """`make` is sent there, and so must be a function of a module, or a partial of one."""
        context = get_context("spawn")  # torch's threads do not outlive a fork
        self._answers, self._questions = context.Pipe()
        self._process = context.Process(target=_answer, args=(self._questions, make), daemon=True)
        self._asked: int | None = None

    def __call__(self, number: int) -> Shown:
        """That batch; the next one is begun."""
        if self._process.pid is None:
            self._process.start()
            self._questions.close()  # its own alone: so it ends where this process does, however that ends
        if self._asked != number:
            if self._asked is not None:
                self._receive()
            self._ask(number)
        self._asked = None
        found = self._receive()
        self._ask(number + 1)
        self._asked = number + 1
        if isinstance(found, Exception):
            raise found
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.close()
        self._questions.close()
        if self._process.pid is not None:
            self._process.terminate()
            self._process.join(_AT_MOST_S)

    def _ask(self, number: int) -> None:
        try:
            self._answers.send(number)
        except OSError as error:
            raise RuntimeError(_ENDED) from error

    def _receive(self) -> Shown | Exception:
        try:
            found: Shown | Exception = self._answers.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError(_ENDED) from error
        return found


def _answer(questions: Connection, make: Callable[[int], object]) -> None:
    """Until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is interrupted, and ends this
    with suppress(EOFError, OSError):
        while True:
            number: int = questions.recv()
            try:
                found = make(number)
            except Exception as error:  # told where it is waited for
                questions.send(error)
            else:
                questions.send(found)
