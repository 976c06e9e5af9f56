"""`python -m server.commands.ready` says to a container engine what /readyz says."""

from __future__ import annotations

import pytest

from server.commands.ready import main
from server.library import ServedLibrary
from tests.server.conftest import Running, in_thread


def test_a_server_that_can_be_searched_is_healthy(
    sample_server: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CINEDEX_PORT", sample_server.url.rpartition(":")[2])
    assert main() == 0
    assert capsys.readouterr().out.startswith("200 ")


def test_a_server_that_is_not_ready_and_no_server_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_thread(ServedLibrary(dict)) as http:
        monkeypatch.setenv("CINEDEX_PORT", str(http.base_url.port))
        assert main() == 1
    assert capsys.readouterr().out.startswith("503 ")
    assert main() == 1
    assert "does not answer" in capsys.readouterr().out
