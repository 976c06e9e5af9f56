"""The process that answers, before it does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.answering import answer
from server.cli import bind
from server.settings import ServeSettings


class Told(Exception):
    """Signals are heeded, which is as far as it should come."""


@pytest.fixture
def interpreter() -> Iterator[None]:
    """As it was, behind what a server makes of it."""
    seconds, handler = sys.getswitchinterval(), signal.getsignal(signal.SIGTERM)
    yield
    sys.setswitchinterval(seconds)
    signal.signal(signal.SIGTERM, handler)


def test_threads_that_search_give_python_back_to_the_event_loop_soon(
    tmp_path: Path, interpreter: None
) -> None:
    def heeding() -> None:
        raise Told

    sys.setswitchinterval(0.005)
    with bind("127.0.0.1", 0) as listening, pytest.raises(Told):
        answer(ServeSettings(data=tmp_path), 0, listening, heeding)
    assert sys.getswitchinterval() == pytest.approx(0.001)
