"""The plugin of examples/, installed into an environment of its own: its tests, then films to answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from extractor.encoders import families
from extractor.media.picture import Pixels
from extractor.media.write import Encoding, write_video

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "examples" / "encoder-plugin"
QUERIES = {"a dark night": "dark", "a sunny day": "light", "fast action": "flicker"}
FILMS = {"dark": [12] * 40, "light": [235] * 40, "flicker": [30, 220] * 20}  # levels of grey
USED = """
import contextlib, io, json, sys, pytest
from core.commands import main
assert pytest.main(["-q", "-p", "no:cacheprovider", "plugin/tests"]) == 0
assert main(["extract", "--videos", "films", "--encoder", "motion:light", "--workers", "0"]) == 0
assert main(["index", "build"]) == 0
for query in sys.argv[1:]:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main(["search", query, "--json", "--level", "video"]) == 0
    answer = json.loads(shown.getvalue())
    print("found", answer["encoder"], answer["results"][0]["path"])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment; what it depends on, 6 GB, is borrowed, and Cinedex is this checkout."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home / "venv", symlinks=True)
    (own,) = (home / "venv/lib").glob("python*/site-packages")
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (own / "borrowed.pth").write_text("\n".join([str(ROOT), str(ROOT / "client"), *borrowed]))
    source = shutil.copytree(PLUGIN, home / "plugin", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--python", str(home / "venv/bin/python"), "--no-cache-dir"]
    flags = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    run(pip[0], *pip[1:], "install", *flags, str(source), folder=home)
    return home


def run(program: str | Path, *line: str, folder: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([program, *line], capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def greys(levels: list[int]) -> Iterator[Pixels]:
    return (np.full((64, 64, 3), level, np.uint8) for level in levels)


def test_its_own_tests_pass_where_it_is_installed_and_films_are_found_by_it(home: Path) -> None:
    (home / "films").mkdir()
    for name, levels in FILMS.items():
        write_video(home / "films" / f"{name}.mp4", greys(levels), Encoding(fps=Fraction(4)))
    said = run(home / "venv/bin/python", "-c", USED, *QUERIES, folder=home)
    assert " passed" in said and "failed" not in said
    found = [line.split() for line in said.splitlines() if line.startswith("found ")]
    assert found == [["found", "motion:light", f"films/{name}.mp4"] for name in QUERIES.values()]


def test_here_it_is_not_installed() -> None:
    assert "motion" not in families()
