"""What the pages show being typed brings a deployment up, typed as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.conftest import Image, unable
from tests.docker.deployment import Deployment, until
from tests.docker.engine import ROOT, Engine
from tests.docker.test_path import arrive, paths

PAGES = ("README.md", "docs/operations.md")


def typed(page: str) -> list[str]:
    """The first block under the heading of both."""
    text = (ROOT / page).read_text().partition("\n## In containers\n")[2]
    block: str = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0]
    return block.splitlines()


@pytest.fixture
def plugged(engine: Engine, composes: list[str], tmp_path: Path) -> dict[str, str]:
    """An environment in which `docker compose` is today's Compose."""
    held = dict(engine.environment)
    if engine.run("compose", "version", check=False).returncode == 0:
        return held
    plugins = tmp_path / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(composes[0])
    held["DOCKER_CONFIG"] = str(plugins.parent)
    if subprocess.run([engine.docker, "compose", "version"], env=held, capture_output=True).returncode:
        unable("There is no `docker compose`; `make test-docker` brings one.")
    return held


@pytest.mark.docker
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_types_brings_it_up_and_takes_films_in(
    page: str, deploy: Callable[..., Deployment], image: Image, plugged: dict[str, str], tmp_path: Path
) -> None:
    found = deploy()  # which holds the port and the name, and takes all of it away
    left_out = shutil.ignore_patterns(".env", "keys.json", "*.mp4", "data", "weights")
    shutil.copytree(ROOT / "docker", tmp_path / "tree" / "docker", ignore=left_out)
    told = {"COMPOSE_PROJECT_NAME": found.project, "CINEDEX_PORT": f"{found.port}"}
    told |= {"CINEDEX_IMAGE": image.tag, "CINEDEX_ENCODER": "toy:rgb"}

    def type_in(lines: list[str]) -> str:
        text = "\n".join(["set -e", *lines])
        words = ["bash", "-c", text]
        done = subprocess.run(
            words, cwd=tmp_path / "tree", env={**plugged, **told}, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    lines = typed(page)
    first = next(number for number, line in enumerate(lines) if line.startswith("docker compose run"))
    type_in(lines[:first])
    until(found.is_ready)
    assert until(lambda: found.search("red", collection="sample"))
    arrive(tmp_path / "tree" / "docker" / "videos", 2)
    type_in(["cd docker", *lines[first:]])
    assert paths(until(lambda: found.search("red", collection="default"))) == {"videos"}


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_begin_alike(page: str) -> None:
    """By an .env, in which the project has its name: without it the next one that has it is another."""
    said = [line.partition("  #")[0].rstrip() for line in typed(page)]
    assert "cp .env.example .env" in " && ".join(said)
    assert "docker compose up -d" in said and "docker compose run --rm index build" in said
