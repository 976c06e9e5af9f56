"""What JSON must look like before it is used: that its seal fits does not mean that it makes sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import SnapshotError
from core.types import KINDS

Shape = Mapping[str, type]
SNAPSHOT: Shape = {"encoder": str, "entry": int, "parts": list, "files": dict, "recall": dict}
PART: Shape = {"name": str, "kind": str, "dim": int, "rows": int, "live": int, "shards": list, "files": dict}
EFFORT: Shape = {"lists": int, "candidates": int}
STAMP: Shape = {"bytes": int, "blake2b": str, "ends": str}


def require(path: Path, held: object, shape: Shape, what: str = "it") -> None:
    """Refuse what lacks a key, or holds something else there."""
    if not isinstance(held, dict):
        raise SnapshotError(f"{path} is damaged: {what} is no object.")
    for key, kind in shape.items():
        if not isinstance(held.get(key), kind):
            raise SnapshotError(f"{path} is damaged: {what} has no {key} that is of type {kind.__name__}.")


def require_snapshot(path: Path, held: Mapping[str, Any]) -> None:
    """Refuse what cannot be a snapshot.json."""
    require(path, held, SNAPSHOT)
    _require_stamps(path, held["files"])
    for part in held["parts"]:
        require(path, part, PART, "a part")
        _require_stamps(path, part["files"])
        names = [part["name"], *part["shards"]]
        if not all(isinstance(name, str) and re.fullmatch("[0-9a-f]{32}", name) for name in names):
            raise SnapshotError(f"{path} is damaged: a part or a shard has a name that none can have.")
        if part["kind"] not in KINDS or not 0 <= part["live"] <= part["rows"]:
            raise SnapshotError(f"{path} is damaged: a part's kind or rows cannot be.")
    efforts = held.get("effort", {})
    require(path, efforts, {}, "effort")
    for effort in efforts.values():
        require(path, effort, EFFORT, "effort")
        if effort["lists"] < 0 or effort["candidates"] < 1:
            raise SnapshotError(f"{path} is damaged: an effort cannot be.")


def _require_stamps(path: Path, held: Mapping[str, Any]) -> None:
    for name, stamp in held.items():
        require(path, stamp, STAMP, name)
