"""Batches from a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.training.begun import TINY
from tests.training.counted import told
from training.ahead import Ahead
from training.loop import Every, run
from training.starter import batch, prepared


def test_they_come_from_elsewhere_whatever_the_order() -> None:
    with Ahead(told) as batches:
        found = [batches(number) for number in (3, 4, 5, 2, 3, 9)]
    assert [number for number, _ in found] == [3, 4, 5, 2, 3, 9]
    assert {process for _, process in found}.isdisjoint({os.getpid()})


def test_what_fails_there_fails_where_it_is_asked_for_and_no_sooner() -> None:
    with Ahead(told) as batches:
        assert batches(12)[0] == 12  # the next one has been begun, and failed
        with pytest.raises(ValueError, match="not that one"):
            batches(13)


def test_a_process_that_was_killed_is_told_of() -> None:
    with Ahead(told) as batches:
        _, process = batches(0)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="The process that makes batches has ended"):
            for number in range(1, 3):  # one may have come already
                batches(number)


def test_a_training_sees_the_same_by_it(tmp_path: Path) -> None:
    with Ahead(partial(batch, TINY)) as batches:
        for number in (0, 3):
            ours, theirs = batches(number), batch(TINY, number)
            assert np.array_equal(ours.pictures, theirs.pictures) and ours.captions == theirs.captions
        training = prepared(tmp_path, TINY)
        run(training, tmp_path, float("inf"), dict, Every(), batches)
    assert training.state.step == TINY.steps


_ASKS = """
import os, signal, sys
from tests.training.counted import told
from training.ahead import Ahead
if __name__ == "__main__":
    with Ahead(told) as batches:
        print(batches(0)[1], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_with_who_asks_however_that_ends(tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(_ASKS)
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, tmp_path / "asks.py"], capture_output=True, text=True, env=here)
    assert done.returncode == -signal.SIGKILL
    process = int(done.stdout)
    until = time.monotonic() + 60
    while Path(f"/proc/{process}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()
