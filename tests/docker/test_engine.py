"""An engine that does not start is told of in a sentence, and one that does not end is ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker import conftest
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


def test_a_second_compose_is_found_where_the_path_has_the_first_again(tmp_path: Path) -> None:
    one, two, none = (str(tmp_path / name) for name in ("one", "two", "none"))
    Path(one).touch()
    Path(two).touch()
    assert conftest.there(one, one, two) == [one, two]
    assert conftest.there(one, two, none) == conftest.there(one, none, two) == [one, two]
    assert conftest.there(one, one, none) == [one] and conftest.there(none, none, two) == [two]
    assert conftest.there(none, none) == []


def test_what_is_not_tested_is_a_reason_at_the_end_or_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(conftest, "_why", told)
    monkeypatch.delenv("REQUIRE_DOCKER", raising=False)
    with pytest.raises(pytest.skip.Exception):
        conftest.unable(conftest.NO_SECOND)
    assert told == [conftest.NO_SECOND]
    monkeypatch.setenv("REQUIRE_DOCKER", "1")
    with pytest.raises(pytest.fail.Exception):
        conftest.unable(conftest.NO_SECOND)
