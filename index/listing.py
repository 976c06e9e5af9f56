"""The snapshots of a store, as people and machines are shown them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import SnapshotError
from core.query import Effort
from index import recall
from index.snapshot import folder_of, numbers, published, read_manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """One snapshot of one store."""

    store: str
    snapshot: int
    current: bool
    entry: int = 0
    created: str = ""
    sources: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    parts: int = 0
    factories: dict[str, str] = field(default_factory=dict)
    recall: dict[str, recall.Depths] = field(default_factory=dict)
    effort: dict[str, dict[str, int]] = field(default_factory=dict)
    bytes: int = 0  # with its parts, which others may share
    error: str = ""


def listed(root: Path) -> Iterator[Listed]:
    """All snapshots of a store, oldest first."""
    try:
        current = published(root)[0]
    except SnapshotError:
        current = 0
    for number in numbers(root):
        try:
            held = read_manifest(folder_of(root, number))
        except SnapshotError as error:
            yield Listed(root.name, number, number == current, error=str(error))
            continue
        abouts = (*held["parts"], *held.get("words", ()))
        stamps = [held["files"], *(about["files"] for about in abouts)]
        yield Listed(
            root.name,
            number,
            number == current,
            held["entry"],
            held["created"],
            held["sources"],
            held["rows"],
            len(held["parts"]),
            held.get("factories", {}),
            held["recall"],
            held.get("effort", {}),
            sum(stamp["bytes"] for each in stamps for stamp in each.values()),
        )


def to_json(snapshots: Sequence[Listed]) -> dict[str, Any]:
    """What `cinedex index list --json` shows."""
    return {"snapshots": [asdict(each) for each in snapshots]}


def table(snapshots: Sequence[Listed]) -> str:
    """Lines of columns, the published snapshots marked by a star."""
    head = [f.name for f in fields(Listed) if f.name not in ("error", "current")]
    lines = [["", *(name if name != "recall" else "recall@10" for name in head)]]
    lines += [_cells(each) for each in snapshots]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [map(str.ljust, line, widths) for line in lines]
    return "".join("  ".join(cells).rstrip() + "\n" for cells in padded)


def _cells(each: Listed) -> list[str]:
    rows = " ".join(f"{kind}:{count}" for kind, count in each.rows.items()) or "-"
    factories = " ".join(f"{kind}:{string}" for kind, string in each.factories.items())
    effort = " ".join(
        f"{kind}:{e['lists']}x{e['candidates']}" for kind, e in each.effort.items() if Effort(**e) != Effort()
    )
    found = f"{recall.worst(each.recall):.3f}" if each.recall else "-"
    cells = [
        each.store,
        each.snapshot,
        each.entry,
        each.created,
        each.sources,
        rows,
        each.parts,
        factories or "-",
        found,
        effort or "-",
    ]
    return ["*" if each.current else "", *map(str, cells), "damaged" if each.error else _size(each.bytes)]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
