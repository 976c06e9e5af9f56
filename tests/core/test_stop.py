"""The first signal asks, whatever the main thread is in the middle of."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.stop import ended_by_sigterm, stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_events_lock_is_held_stops_and_blocks_nothing(number: signal.Signals) -> None:
    with stopping() as stop:
        with stop._cond:  # type: ignore[attr-defined]  # as `wait` holds it, for a moment
            os.kill(os.getpid(), number)
            assert stop.by == number
        assert stop.wait(30)


def test_the_handlers_of_before_are_there_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_sigterm_ends_a_command_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_who_was_told_what_sigterm_means_keeps_to_it() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ended_by_sigterm():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
        with ThreadPoolExecutor() as threads:
            threads.submit(_ended_in_a_thread).result()
    finally:
        signal.signal(signal.SIGTERM, before)


def _ended_in_a_thread() -> None:
    with ended_by_sigterm():  # where no handler can be set
        pass
