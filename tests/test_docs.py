"""Docs that cannot lie: what they say to type works, where they point is something, what is made is fresh."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core import __version__
from core.commands import VERBS
from docs.generate import PAGES

ROOT = Path(__file__).parents[1]
PAGES_BY_HAND = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
IDS = [path.relative_to(ROOT).as_posix() for path in PAGES_BY_HAND]


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed(text: str) -> list[tuple[str, str]]:
    """Each line behind a prompt, and what is shown beneath it as its answer."""
    said = "".join(blocks(text, "console"))
    return [(command, answer) for command, answer in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", said, re.M)]


def scores(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"\b\d\.\d{3}\b", text)]


def is_alike(shown: str, said: str) -> bool:
    """Equal but for scores, which depend a little on the processor."""
    blank = [re.sub(r"\b\d\.\d{3}\b", "0", text) for text in (shown, said)]
    return blank[0] == blank[1] and scores(shown) == pytest.approx(scores(said), abs=0.02)


def project() -> dict[str, object]:
    held: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return held


def names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {re.split(r"[<>=\[]", line)[0].lower().replace("_", "-") for line in requirements}


def test_the_commands_of_the_readme_work_in_their_order(tmp_path: Path) -> None:
    commands = typed((ROOT / "README.md").read_text())
    assert len(commands) >= 6
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with Shell(tmp_path, path) as run:
        for command, answer in commands:
            shown = run(command)
            assert not answer or is_alike(shown, answer), f"{command} answers {shown}"


class Shell:
    """A shell that answers each line, and ends what was started with & when it is left."""

    def __init__(self, folder: Path, path: str) -> None:
        self.environment = {"PATH": path, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.address = ""

    def __enter__(self) -> Shell:
        return self

    def __call__(self, command: str) -> str:
        if command.endswith(" &"):
            self._start(command.removesuffix(" &"))
            return ""
        command = command.replace("http://127.0.0.1:8000", self.address)
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, cwd=self.folder, env=self.environment
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout or done.stderr, f"{command} said nothing"
        return done.stdout

    def _start(self, command: str) -> None:
        words = command.replace("--port 8000", "--port 0").split()
        child = subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, cwd=self.folder, env=self.environment
        )
        self.started.append(child)
        assert child.stdout is not None
        self.address = child.stdout.readline().strip()
        assert self.address.startswith("http://"), command
        end = time.monotonic() + 120
        while httpx.get(f"{self.address}/readyz", timeout=60).status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        for child in self.started:
            child.terminate()
            child.communicate()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_make_targets_that_are_named_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target for line in re.findall(r"^([a-z -]+):", makefile, re.MULTILINE) for target in line.split()
    }
    said = set(re.findall(r"^make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
    assert said and said <= targets
    assert {"demo", "test", "test-slow", "lint", "bench", "docs", "dist"} <= targets


def slugs(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES_BY_HAND, ids=IDS)
def test_what_a_page_points_to_exists(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{page} points to {link}"
        assert found.is_relative_to(ROOT)
        if anchor:
            assert anchor in slugs(found), f"{page} points to {link}"


def test_the_changelog_begins_with_the_codes_version() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_made_from_code_is_fresh(page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == PAGES[page](), f"docs/{page} is stale: make docs"


def test_every_verb_that_is_shown_being_typed_exists() -> None:
    for page in PAGES_BY_HAND:
        text = "\n".join(blocks(page.read_text(), "[a-z]*"))
        for verb in re.findall(r"^(?:\$ )?cinedex ([a-z-]+)", text, re.MULTILINE):
            assert verb in VERBS, f"{page} types cinedex {verb}"


def test_every_dependency_has_a_line_that_says_why() -> None:
    said = set(re.findall(r"^\| ([\w-]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE))
    assert {name.replace("_", "-") for name in said} - {"package"} == names(project()["dependencies"])


def test_every_dependency_is_pinned_to_one_version_and_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    wanted = names(project()["dependencies"]).union(*map(names, extras.values()))
    assert wanted <= pinned, wanted - pinned
