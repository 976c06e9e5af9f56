"""All videos of a view in the order of their paths, a page at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.types import KINDS, IntArray, Kind
from index.columns import Columns
from index.snapshot import Snapshot
from index.sources import SourceInfo

_BEHIND = "\U0010ffff"  # what no name has: behind all that begins with a prefix
Key = tuple[str, str]  # where a video stands: its path, and its id


@dataclass(frozen=True, slots=True)
class Listed:
    """A video, the path it stands at, and its rows by kind."""

    path: str
    info: SourceInfo
    rows: dict[Kind, int]

    @property
    def key(self) -> Key:
        return self.path, self.info.id


@dataclass(frozen=True, slots=True)
class Page:
    """Some videos, how many there are in all, and whether more follow."""

    videos: Sequence[Listed]
    total: int
    is_last: bool


@dataclass(frozen=True)
class Catalogue:
    """The places of all videos, sorted by path and by the line of their source."""

    paths: pa.Array
    lines: IntArray

    @classmethod
    def of(cls, columns: Columns) -> Catalogue:
        """Made when it is asked for first, and kept with the columns of a snapshot."""
        found = columns.kept.get("catalogue")
        if not isinstance(found, cls):
            found = columns.kept["catalogue"] = cls._made(columns)
        return found

    @classmethod
    def _made(cls, columns: Columns) -> Catalogue:
        path = columns.get("path")
        if path is None:
            return cls(pa.array([], pa.large_string()), np.empty(0, np.int64))
        ids = columns.sources.table["id"].combine_chunks()
        is_text = pc.starts_with(ids, "t-").to_numpy(zero_copy_only=False)
        table = pa.table({"path": path.values, "line": path.lines})
        table = table.filter(pa.array(~is_text[path.lines])).sort_by(
            [("path", "ascending"), ("line", "ascending")]
        )
        table = table.combine_chunks()
        paths = table["path"].chunk(0) if len(table) else pa.array([], pa.large_string())
        return cls(paths, table["line"].to_numpy().astype(np.int64))

    def under(self, prefix: str) -> tuple[int, int]:
        """The first place whose path begins so, and the one behind the last."""
        return self._find(prefix), self._find(prefix + _BEHIND) if prefix else len(self.lines)

    def _find(self, path: str) -> int:
        return bisect_left(range(len(self.lines)), path, key=self.path)

    def path(self, at: int) -> str:
        return str(self.paths[at].as_py())


def page(view: Snapshot, prefixes: Sequence[str], behind: Key | None, limit: int) -> Page:
    """The first `limit` videos behind one, of those with a path that begins with all of these."""
    catalogue = Catalogue.of(view.columns)
    edges = [catalogue.under(prefix) for prefix in ("", *prefixes)]
    first, last = max(low for low, _ in edges), min(high for _, high in edges)
    lines = catalogue.lines[first:last]
    # A video stands at its first path of these, wherever else it lies.
    shown = np.sort(np.unique(lines, return_index=True)[1])
    shown = shown[~np.isin(lines[shown], list(view.hidden))] + first
    at = 0 if behind is None else _behind(catalogue, view, shown, behind)
    chosen = shown[at : at + limit]
    rows = _rows(view, catalogue.lines[chosen])
    videos = [
        Listed(catalogue.path(place), view.sources.info(line), rows[line])
        for place, line in zip(chosen.tolist(), catalogue.lines[chosen].tolist(), strict=True)
    ]
    return Page(videos, len(shown), at + limit >= len(shown))


def listed(view: Snapshot, video_id: str) -> Listed | None:
    """One video; None where there is none of that id."""
    info, line = view.source(video_id), view.sources.find(video_id)
    if info is None or info.text:
        return None
    return Listed("", info, _rows(view, np.array([line]))[line])


def _behind(catalogue: Catalogue, view: Snapshot, shown: IntArray, key: Key) -> int:
    def key_of(place: int) -> Key:
        return catalogue.path(place), view.sources.id(int(catalogue.lines[place]))

    return bisect_left(shown, (key[0], key[1] + "\0"), key=key_of)


def _rows(view: Snapshot, lines: IntArray) -> dict[int, dict[Kind, int]]:
    """Of each of these sources its live rows by kind."""
    found: dict[int, dict[Kind, int]] = {line: dict.fromkeys(KINDS, 0) for line in lines.tolist()}
    for part in view.parts:
        mine = lines[part.have(lines)]
        if len(mine):
            records = part.part.rows[part.positions(mine.tolist())]
            for line, count in zip(*np.unique(part.lines(records), return_counts=True), strict=True):
                found[int(line)][part.about.kind] += int(count)
    return found
