"""`wanted.py PYPROJECT EXTRAS`: what has to be installed beside our own code, one requirement a line."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def wanted(pyproject: Path, extras: str) -> list[str]:
    """The dependencies, with those of extras that are parted by commas."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    known = project["optional-dependencies"]
    asked = [name for name in extras.split(",") if name]
    if missing := [name for name in asked if name not in known]:
        sys.exit(f"EXTRAS: no extra is called {missing[0]!r}; there are {', '.join(sorted(known))}.")
    return sorted({*project["dependencies"], *(each for name in asked for each in known[name])})


if __name__ == "__main__":
    sys.stdout.write("\n".join(wanted(Path(sys.argv[1]), sys.argv[2])) + "\n")
