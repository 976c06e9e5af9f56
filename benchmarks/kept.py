"""What `--work` keeps from one run of a benchmark to the next."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

Made = Mapping[str, int | str | bool]


def is_kept(folder: Path, made: Made) -> bool:
    """Whether what is made so lies there, whole. Another thing, or a half of one, ends the benchmark."""
    marker = _marker(folder)
    if not marker.exists():
        if folder.exists():
            sys.exit(f"{folder} was not made to its end; remove it, or name another --work.")
        return False
    held = json.loads(marker.read_text())
    if held != made or not folder.exists():
        sys.exit(f"{marker} says {_told(held)}, not {_told(made)}; remove both, or name another --work.")
    return True


def keep(folder: Path, made: Made) -> None:
    """Say last what it is."""
    _marker(folder).write_text(json.dumps(made) + "\n")


def _marker(folder: Path) -> Path:
    return folder.with_suffix(".json")


def _told(made: Made) -> str:
    return " ".join(f"{name}={value}" for name, value in made.items())
