"""Several processes that answer on one socket, and the one that looks after them."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.server.asking import Load, logged
from tests.server.conftest import Running
from tests.server.worlds import Shelf, make_keys, until


def children(of: int) -> set[int]:
    """The worker processes."""
    held = Path(f"/proc/{of}/task/{of}/children").read_text().split()
    return {int(pid) for pid in held if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def ask(server: Running, seconds: float = 30) -> int:
    """Over a connection of its own, which any worker may take."""
    return httpx.post(f"{server.url}/search", json={"query": "red"}, timeout=seconds).status_code


def counted(server: Running, name: str) -> float:
    told = httpx.get(f"{server.url}/metrics", timeout=30).text
    return sum(float(line.split()[-1]) for line in told.splitlines() if line.startswith(name))


def figures(server: Running) -> Path:
    """Where the workers add up what /metrics tells."""
    held = Path(f"/proc/{min(children(server.process.pid))}/environ").read_bytes().split(b"\0")
    return next(
        Path(os.fsdecode(each.partition(b"=")[2]))
        for each in held
        if each.startswith(b"PROMETHEUS_MULTIPROC_DIR=")
    )


def test_workers_answer_side_by_side_one_that_is_killed_comes_back_and_sigterm_lets_all_finish(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    server = serve("--workers", "2", "--log-format", "json")
    workers = children(server.process.pid)
    assert len(workers) == 2
    searched = 'cinedex_requests_total{method="POST",route="/search",status="200"}'
    for _ in range(20):
        assert ask(server) == 200
    assert counted(server, searched) == 20  # of both, whoever is asked
    assert counted(server, 'cinedex_rows{collection="default",encoder="toy:rgb",kind="frame"}') == 60

    os.kill(min(workers), signal.SIGKILL)
    until(lambda: min(workers) not in children(server.process.pid))
    for _ in range(20):
        assert ask(server) == 200  # the other one, until there are two again
    until(lambda: len(children(server.process.pid)) == 2, 30)
    assert counted(server, searched) >= 40
    assert re.search(r"worker ended error=process \d+ ended with exit code -9", server.log.read_text())

    folder, workers = figures(server), children(server.process.pid)
    before, load = logged(server.log), Load(server.url)
    with load.of(clients=4):
        load.until_answered(40)
        assert server.stop() == 0
    assert not load.torn and set(load.answers.values()) == {200}
    assert logged(server.log) == before | load.answers, "each that was taken has got its whole answer"
    assert not folder.exists()
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in server.log.read_text()


def test_workers_that_are_started_again_ask_for_keys_though_there_are_none_any_more(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    make_keys(shelf.library.data)
    server = serve("--workers", "2")
    first = children(server.process.pid)
    (shelf.library.data / "keys.json").write_text('{"format": 1, "keys": null}')
    for worker in first:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(children(server.process.pid) - first) == 2, 60)
    for _ in range(20):
        assert ask(server, seconds=300) == 401
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_workers_end_with_the_process_that_looks_after_them(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    server = serve("--workers", "2")
    workers = children(server.process.pid)
    server.process.kill()
    until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()], 30)


def test_ctrl_c_ends_them_with_130(shelf: Shelf, serve: Callable[..., Running]) -> None:
    server = serve("--workers", "2", wait=False)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 130
    assert "Traceback" not in server.log.read_text()
