"""What JSON must look like before it is used: that its seal fits does not mean that it makes sense."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf, isfinite
from pathlib import Path
from typing import Any

from core.errors import SnapshotError
from core.types import KINDS
from index import mapped
from index.lexical import WORD_KINDS

Shape = Mapping[str, type]
SNAPSHOT: Shape = {
    **{"encoder": str, "created": str, "entry": int, "sources": int, "rows": dict},
    **{"parts": list, "files": dict, "recall": dict},
}
PART: Shape = {"name": str, "kind": str, "dim": int, "rows": int, "live": int, "shards": list, "files": dict}
TRAINED: Shape = {"trained": str, "lossy": bool}
WORDS: Shape = {"name": str, "kind": str, "rows": int, "live": int, "length": int, "files": dict}
EFFORT: Shape = {"lists": int, "candidates": int}
CALIBRATION: Shape = {"references": dict}
NUMBERS = ("spread", "most")  # of a reference
DEPTHS = ("1", "10", "100")
TIMES = ("p50", "p99")
ASKING = ("text", "video")
TINY = 1e-30  # what float32 can still divide by


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
        if not all(_is_name(name) for name in (part["name"], *part["shards"])):
            raise SnapshotError(f"{path} is damaged: a part or a shard has a name that none can have.")
        require(path, {"trained": "", "lossy": False, **part}, TRAINED, "a part")
        if part["kind"] not in KINDS or not 0 <= part["live"] <= part["rows"]:
            raise SnapshotError(f"{path} is damaged: a part's kind or rows cannot be.")
    _require_words(path, held.get("words", []))
    for effort in _of_kinds(path, held, "effort"):
        require(path, effort, EFFORT, "effort")
        if effort["lists"] < 0 or effort["candidates"] < 1:
            raise SnapshotError(f"{path} is damaged: an effort cannot be.")
    _require_calibration(path, held.get("calibration", {"references": {}}))
    _require_measured(path, held)


def _require_words(path: Path, held: object) -> None:
    if not isinstance(held, list):
        raise SnapshotError(f"{path} is damaged: its words are no list.")
    for words in held:
        require(path, words, WORDS, "a file of words")
        _require_stamps(path, words["files"])
        if not _is_name(words["name"]):
            raise SnapshotError(f"{path} is damaged: a file of words has a name that none can have.")
        is_counted = 0 <= words["live"] <= words["rows"] and words["length"] >= (words["live"] > 0)
        if words["kind"] not in WORD_KINDS or not is_counted:
            raise SnapshotError(f"{path} is damaged: the kind, rows or length of words cannot be.")


def _require_calibration(path: Path, held: object) -> None:
    require(path, held, CALIBRATION, "calibration")
    assert isinstance(held, dict)
    require(path, held.get("scale", {}), {}, "a scale")
    for by_asking in _of_kinds(path, held, "references"):
        require(path, by_asking, {}, "a kind's references")
        for asking, reference in by_asking.items():
            require(path, reference, {}, "a reference")
            if asking not in ASKING or set(reference) != set(NUMBERS) or not _are_numbers(reference, TINY):
                raise SnapshotError(f"{path} is damaged: a reference cannot be.")


def _require_measured(path: Path, held: Mapping[str, Any]) -> None:
    """What was measured and what was wished: absent in older ones."""
    for key, names, most in (
        ("recall", DEPTHS, 1.0),
        ("recall_texts", DEPTHS, 1.0),
        ("latency_ms", TIMES, inf),
    ):
        for found in _of_kinds(path, held, key):
            require(path, found, {}, key)
            if not set(names) <= set(found) or not _are_numbers(found, most=most):
                raise SnapshotError(f"{path} is damaged: a number of its {key} cannot be.")
    wanted = {"recall_wanted": held.get("recall_wanted", 1.0)}
    if not _are_numbers(wanted, most=1.0):
        raise SnapshotError(f"{path} is damaged: its recall_wanted is no share.")
    for key in ("factories", "asked"):
        if not all(isinstance(factory, str) for factory in _of_kinds(path, held, key)):
            raise SnapshotError(f"{path} is damaged: one of its {key} is no string.")


def _of_kinds(path: Path, held: Mapping[str, Any], key: str) -> Iterable[Any]:
    found = held.get(key, {})
    require(path, found, {}, key)
    if not set(found) <= set(KINDS):
        raise SnapshotError(f"{path} is damaged: {key} is of a kind of rows that there is not.")
    return list(found.values())


def _are_numbers(held: Mapping[str, Any], least: float = 0.0, most: float = inf) -> bool:
    """inf is none, and neither is true."""
    return all(
        type(each) in (int, float) and isfinite(each) and least <= each <= most for each in held.values()
    )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch("[0-9a-f]{32}", name) is not None


def _require_stamps(path: Path, held: object) -> None:
    if not mapped.are_stamps(held):
        raise SnapshotError(f"{path} is damaged: what it says of files cannot be.")
