"""`unpinned.py PACKAGES CONSTRAINTS`: fail where a package is installed that constraints.txt has not."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path


def unpinned(packages: str, constraints: str) -> list[str]:
    """Names of `pip freeze` that are in no line; a build of the same version, as `2.15.0+cpu`, is in one."""
    pinned = set(_names(constraints.splitlines()))
    return sorted(name for name in _names(packages.splitlines()) if name not in pinned)


def _names(lines: Iterable[str]) -> Iterable[str]:
    return (re.sub(r"[-_.]+", "-", re.split(r"[=@ ]", line)[0]).lower() for line in lines if line)


if __name__ == "__main__":
    if found := unpinned(*(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:3])):
        sys.exit(
            f"EXTRAS: constraints.txt gives no version to {', '.join(found)}; it has to name each of them."
        )
