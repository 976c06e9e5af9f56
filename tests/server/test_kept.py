"""What is started again whenever it ends, ends where that may mend something, and else waits."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.commands.kept import WAITS, main

COMMAND = [sys.executable, "-m", "server.commands.kept"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_cannot_be_is_said_once_and_waits_to_be_ended(number: int, tmp_path: Path) -> None:
    words = [*COMMAND, "serve", "--data", str(tmp_path), "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "0.0.0.0 can be reached from outside, and there are no keys" in process.stderr.readline()
            assert process.stderr.readline().strip() == WAITS
            assert process.poll() is None
            process.send_signal(number)
            assert process.wait(60) == 2
        finally:
            process.kill()


def test_what_may_be_mended_from_outside_and_what_is_done_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--data", str(tmp_path), "--port", str(taken.getsockname()[1])]) == 1
    assert main(["--version"]) == 0
    assert WAITS not in capsys.readouterr().err
