"""The first signal asks, whatever the main thread is in the middle of."""

from __future__ import annotations

import os
import signal

import pytest

from core.stop import stopping


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
