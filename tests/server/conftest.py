"""Servers over real sockets: in a process of their own, and in a thread of this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from server.app import create_app
from server.cli import bind
from server.heads import TimedHeads
from server.library import ServedLibrary
from server.settings import ServeSettings
from tests.conftest import shapes, write_film
from tests.server.filmed import Films
from tests.server.held import Decoders
from tests.server.worlds import Shelf, make_keys, samples, until

ROOT = Path(__file__).parents[2]
_SELDOM = (
    5.0  # seconds between looks of servers whose library stays as it is: many of them idle beside the tests
)


@dataclass
class Running:
    """A `cinedex serve` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    http: httpx.Client
    keys: dict[str, str] = field(default_factory=dict)  # scope → a key, where it has keys

    def by(self, scope: str) -> httpx.Client:
        """A client that asks with a key of that scope."""
        return httpx.Client(base_url=self.url, timeout=30, headers={"x-api-key": self.keys[scope]})

    def search(self, query: Any, **fields: Any) -> httpx.Response:
        return self.http.post("/search", json={"query": query, **fields})

    def is_ready(self) -> bool:
        return self.http.get("/readyz").status_code == 200

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def start(data: Path, *flags: str, wait: bool = True, follow_seconds: float = 0.05) -> Running:
    """Serve a library; the address is what it prints."""
    log = data.parent / f"{data.name}.log"
    serve = "import sys; from server.cli import main; sys.exit(main())"
    command = [sys.executable, "-W", "error", "-c", serve]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--data", str(data), "--port", "0", "--follow-seconds", f"{follow_seconds}", *flags],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url, log.read_text()
    running = Running(process, url, log, httpx.Client(base_url=url, timeout=30))
    if wait:
        until(running.is_ready, 60)
    return running


@pytest.fixture(scope="session")
def sample_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Three videos and three texts that nobody changes."""
    data = tmp_path_factory.mktemp("served") / "data"
    samples(data)
    running = start(data, follow_seconds=_SELDOM)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same library behind keys; `http` asks without one, `by("read")` and `by("admin")` with one."""
    data = tmp_path_factory.mktemp("keyed") / "data"
    samples(data)
    keys = make_keys(data)
    running = start(data, "--log-format", "json", follow_seconds=_SELDOM)
    running.keys |= keys
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "Traceback" not in log
    assert not [key for key in keys.values() if key[13:] in log]


@pytest.fixture(scope="session")
def film_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two short videos that are there as files: red-then-blue.mp4 and short.mp4."""
    folder = tmp_path_factory.mktemp("filmed")
    (folder / "films").mkdir()
    write_film(folder / "films" / "red-then-blue.mp4", shapes("red", "blue", seconds=1))
    write_film(folder / "films" / "short.mp4", shapes("green", seconds=0.5))
    running = start(Films.of(folder / "films", folder / "data").data, follow_seconds=_SELDOM)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(params=["open", "keyed"])
def any_server(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server without keys, and one that is asked with a key: what answers must be the same."""
    if request.param == "open":
        yield request.getfixturevalue("sample_server")
        return
    keyed: Running = request.getfixturevalue("keyed_server")
    with keyed.by("read") as http:
        yield replace(keyed, http=http)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return samples(tmp_path / "data")


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    return Decoders(monkeypatch)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start servers that are stopped when the test ends."""
    started: list[Running] = []

    def begin(*flags: str, wait: bool = True) -> Running:
        started.append(start(tmp_path / "data", *flags, wait=wait))
        return started[-1]

    yield begin
    for running in started:
        running.stop()


@contextmanager
def in_thread(library: ServedLibrary, **settings: Any) -> Iterator[httpx.Client]:
    """The application behind a real socket, in a thread of this process."""
    with listening(create_app(library, ServeSettings(**{"follow_seconds": 0.05, **settings}))) as http:
        yield http


@contextmanager
def listening(app: ASGIApp) -> Iterator[httpx.Client]:
    """Any application behind a real socket."""
    socket = bind("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, http=TimedHeads, ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{socket.getsockname()[1]}", timeout=30) as http:
            yield http
    finally:
        server.should_exit = True
        thread.join(30)
        socket.close()
