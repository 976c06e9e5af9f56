"""One deployment by docker/compose.yml, of its own name, port and volumes."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any, BinaryIO

import httpx

from tests.docker.engine import ROOT, Engine, called

PATIENCE_S = 300.0
Bytes = BinaryIO | int


def until(holds: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """What it gives once that is something; busy machines are slow."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.2)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@dataclass
class Deployment:
    """Services of one project."""

    engine: Engine
    program: str  # compose
    folder: Path  # its .env, and videos/
    project: str
    port: int
    files: tuple[Path, ...] = (ROOT / "docker" / "compose.yml",)

    def compose(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return called([*self._program, *words], self.engine.environment, check=check)

    @property
    def _program(self) -> list[str]:
        flags = [
            "--env-file",
            str(self.folder / ".env"),
        ]  # which has the project's name, as .env.example does
        return [self.program, *flags, *(word for file in self.files for word in ("-f", str(file)))]

    def tell(self, **settings: str) -> None:
        """What .env says, from now on."""
        env = self.folder / ".env"
        told = dict(line.split("=", 1) for line in env.read_text().splitlines()) if env.exists() else {}
        env.write_text("".join(f"{name}={value}\n" for name, value in (told | settings).items()))

    def override(self, services: dict[str, Any]) -> None:
        """What a file of the user's own says beside ours."""
        own = self.folder / f"compose.override-{len(self.files)}.yml"
        own.write_text(json.dumps({"services": services}))
        self.files += (own,)

    def begun(self, *words: str) -> subprocess.Popen[str]:
        """A job beside all else."""
        line = [*self._program, "run", "-T", "--rm", *words]
        environment = dict(self.engine.environment)
        return subprocess.Popen(line, env=environment, stdout=PIPE, stderr=STDOUT, text=True)

    def job(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.compose("run", "-T", "--rm", *words, check=check)

    def piped(
        self, *words: str, stdin: Bytes = DEVNULL, stdout: Bytes = PIPE
    ) -> subprocess.CompletedProcess[bytes]:
        """A job between files."""
        line = [*self._program, "run", "-T", "--rm", *words]
        environment = dict(self.engine.environment)
        return subprocess.run(line, stdin=stdin, stdout=stdout, stderr=PIPE, env=environment, check=False)

    def container(self, service: str) -> str:
        """Its id, also once it has ended."""
        labels = {"project": self.project, "service": service}
        flags = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return self.engine.says("ps", "-aq", *flags)

    def inspected(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine.says("inspect", self.container(service)))[0]
        return found

    def crash(self, service: str) -> None:
        """SIGKILL from beside it, which its restart policy does not take for somebody's wish."""
        found = self.inspected(service)
        line = ["--rm", "--pid", "host", "--network", "none", "--user", "0", "--entrypoint", "sh"]
        self.engine.run("run", *line, found["Image"], "-c", f"kill -9 {found['State']['Pid']}")

    def logs(self, service: str) -> str:
        done = self.engine.run("logs", self.container(service))
        return done.stdout + done.stderr

    def get(self, path: str, key: str = "") -> httpx.Response | None:
        """None while nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=_headers(key), timeout=30)
        except httpx.HTTPError:
            return None

    def is_ready(self) -> bool:
        answer = self.get("/readyz")
        return answer is not None and answer.status_code == 200

    def search(self, text: str, key: str = "", **fields: Any) -> list[dict[str, Any]]:
        """Results, none where the collection is not there, or no snapshot of it is seen yet."""
        body = {"query": text, "level": "frame", "limit": 3} | fields
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/search", json=body, headers=_headers(key), timeout=60
        )
        assert answer.status_code in (200, 404, 503), answer.text
        found: list[dict[str, Any]] = answer.json().get("results", [])
        return found


def _headers(key: str) -> dict[str, str]:
    return {"x-api-key": key} if key else {}


@contextmanager
def deployed(engine: Engine, program: str, image: str, folder: Path, **settings: str) -> Iterator[Deployment]:
    """Nothing runs yet; at the end nothing is left. settings: of .env."""
    found = Deployment(engine, program, folder, f"cinedex-test-{uuid.uuid4().hex[:8]}", free_port())
    (folder / "videos").mkdir()
    told = {
        "COMPOSE_PROJECT_NAME": found.project,
        "CINEDEX_IMAGE": image,
        "CINEDEX_VIDEOS": str(folder / "videos"),
        "CINEDEX_PORT": str(found.port),
        "CINEDEX_ENCODER": "toy:rgb",
    }
    found.tell(**(told | settings))
    try:
        yield found
    finally:
        found.compose(
            "--profile", "jobs", "down", "--volumes", "--remove-orphans", "--timeout", "1", check=False
        )
