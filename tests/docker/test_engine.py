"""An engine that does not start is told of in a sentence, and one that does not end is ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker import engine as engines
from tests.docker.engine import Engine, Unable

NOBODY = Engine("false", {"PATH": "/usr/bin:/bin"})  # what it is asked, it fails


@pytest.mark.parametrize(
    ("said", "why"), [("", "it says nothing"), ("one\n\nno room\n\n", "no room")], ids=["nothing", "much"]
)
def test_a_daemon_that_ends_is_a_reason_whatever_it_says(said: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(said)
    with subprocess.Popen(["true"]) as daemon:
        daemon.wait()
        with pytest.raises(Unable, match=f"does not start here: {why}$"):
            engines._wait(NOBODY, daemon, tmp_path / "log")


def test_a_daemon_that_does_not_end_when_it_is_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "START_S", 0.05)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None and daemon.stdout.readline()
        engines._end(daemon)
        assert daemon.returncode == -9
