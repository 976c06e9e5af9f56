"""THIRD_PARTY.md and the image's label name what is brought, as the packages themselves say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "THIRD_PARTY.md").read_text()
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def labelled() -> set[str]:
    (found,) = re.findall(r'image\.licenses="(.+)"$', DOCKERFILE, re.MULTILINE)
    return set(found.split(" AND "))


def carried() -> set[str]:
    """Libraries in PyAV's wheel but FFmpeg's own; none where it was built on the machine."""
    folder = Path(av.__file__).parents[1] / "av.libs"
    names = {found[1] for path in folder.glob("lib*") if (found := re.match(r"lib([A-Za-z0-9]+)", path.name))}
    return {
        name for name in names if not re.match(r"av(codec|device|filter|format|util)|sw(scale|res)", name)
    }


def test_every_library_in_pyavs_wheel_is_named() -> None:
    if not (found := carried()):
        pytest.skip("PyAV was not installed from a wheel with libraries in it.")
    named = set(re.findall(r"\blib([A-Za-z0-9]+)", PAGE))
    assert found <= named, found - named


def test_ffmpegs_own_licence_is_the_one_that_is_named() -> None:
    from av._core import library_meta

    says = {each["license"] for each in library_meta.values()}
    if says != {"LGPL version 3 or later"}:
        pytest.skip(f"This FFmpeg is another one: {says}.")
    assert "`LGPL version 3 or later`" in PAGE and "LGPL-3.0-or-later" in labelled()
    assert {"GPL-2.0-or-later", "MPL-2.0"} <= labelled(), "x264 and x265; certifi and tqdm"


def test_every_package_that_the_image_asks_for_is_named() -> None:
    (extras,) = re.findall(r"^ARG EXTRAS=(.+)$", DOCKERFILE, re.MULTILINE)
    line = [sys.executable, str(ROOT / "docker" / "wanted.py"), str(ROOT / "pyproject.toml"), extras]
    asked = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    table = "\n".join(row.split("|")[1] for row in PAGE.splitlines() if row.startswith("| "))
    missing = {name for each in asked if (name := re.split(r"[<>=\[]", each)[0]) not in table}
    assert not missing
