"""docs/examples.md, typed and run against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cinedex_client import Client

from tests.browser import Browser
from tests.server.conftest import in_thread
from tests.server.filmed import Films
from tests.server.sent import picture
from tests.test_docs import blocks, typed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/examples.md").read_text()
ID = "v-0c5e1f5b8a4f3c1d9e7a2b6c4d8f0a1b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Path:
    """Where the files of the examples lie."""
    made = tmp_path_factory.mktemp("examples")
    (made / "sunset.png").write_bytes(picture("red"))
    shutil.copy(videos / "green.mp4", made / "cut.mp4")
    return made


@pytest.fixture(scope="module")
def page(folder: Path, videos: Path) -> Iterator[str]:
    """The page, with the address of a server and the id of one of its videos."""
    films = Films.copied(videos, folder, "red.mp4", "green.mp4", "red-then-blue.mp4")
    with in_thread(films.library()) as http, Client(str(http.base_url)) as client:
        while not client.ready().ready:
            pass
        (id,) = (video.video_id for video in client.videos(prefix="films/red-"))
        yield PAGE.replace("http://127.0.0.1:8000", str(http.base_url).rstrip("/")).replace(ID, id)


def run(folder: Path, *command: str, **environment: str) -> str:
    told = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_curl_is_answered(page: str, folder: Path) -> None:
    commands = [command for command, _ in typed(page)]
    assert len(commands) >= 10
    for command in commands:
        said = run(folder, "bash", "-c", command.replace("curl -s ", "curl -sS --fail-with-body ", 1))
        assert said.startswith("{") or " -o " in command, command
        assert '"results":[]' not in said, command
    assert (folder / "moment.mp4").read_bytes()[4:8] == b"ftyp"
    assert (folder / "moment.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_python_is_answered(page: str, folder: Path) -> None:
    waited, awaited = blocks(page, "python")
    known = {"PYTHONPATH": str(ROOT / "client")}
    said = run(folder, sys.executable, "-W", "error", "-c", waited, **known)
    assert "films/red.mp4 0.0 " in said
    assert "404 not_found collection collection: there is no 'none' here" in said
    assert "films/green.mp4 10.0" in run(folder, sys.executable, "-W", "error", "-c", awaited, **known)


def test_javascript_is_answered(page: str, chromium: Browser) -> None:
    """In a page of that server's, where all that is logged is what is told."""
    (script,) = blocks(page, "js")
    (url,) = re.findall(r'const server = "(.+)"', script)
    chromium.open(url)
    log = "const told = [], console = {log: (...words) => told.push(words.join(' '))};"
    said = chromium.run(f"(async () => {{ {log} {script}; return told; }})()")
    assert len(said) > 3 and said[0].startswith("films/red")
    assert said[-1].startswith('<video controls src="/clip/v-')
