"""Thumbnails in a shard: JPEGs one behind the other in `thumbs.bin`, found by the shard's sources."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from core import files
from core.errors import StoreError
from core.types import Thumbs

FILE = "thumbs.bin"
# Of sources.parquet: where the source's first tile begins, and for each tile when it is shown and its bytes.
OFFSET, TIMES, SIZES = "thumbs_offset", "thumbs_times", "thumbs_bytes"
COLUMNS = (OFFSET, TIMES, SIZES)


def write(folder: Path, held: Sequence[Thumbs]) -> list[dict[str, Any]]:
    """All tiles of what becomes the shard's sources; for each of those its columns. No file without tiles."""
    sizes = [sum(map(len, thumbs.tiles)) for thumbs in held]
    if not any(sizes):
        return [{} for _ in held]
    with (folder / FILE).open("wb") as file:
        for thumbs in held:
            file.writelines(thumbs.tiles)
    offsets = accumulate(sizes[:-1], initial=0)
    return [_columns(offset, thumbs) for offset, thumbs in zip(offsets, held, strict=True)]


def _columns(offset: int, thumbs: Thumbs) -> dict[str, Any]:
    if not thumbs.tiles:
        return dict.fromkeys(COLUMNS)
    return {OFFSET: offset, TIMES: list(thumbs.times), SIZES: [len(tile) for tile in thumbs.tiles]}


def read(folder: Path, row: Mapping[str, Any]) -> Thumbs:
    """All tiles of a line of the shard's sources."""
    times, sizes = row.get(TIMES) or (), row.get(SIZES) or ()
    ends = list(accumulate(sizes))
    data = _bytes(folder, row[OFFSET], ends[-1]) if ends else b""
    return Thumbs(tuple(times), tuple(data[end - size : end] for end, size in zip(ends, sizes, strict=True)))


def nearest(folder: Path, row: Mapping[str, Any], t: float) -> tuple[float, bytes] | None:
    """The tile of a line of the shard's sources that is shown nearest to second t, and when; None without."""
    times, sizes = row.get(TIMES) or (), row.get(SIZES) or ()
    if not times:
        return None
    at = bisect_left(times, t)
    best = min(range(max(0, at - 1), min(at + 1, len(times))), key=lambda i: abs(times[i] - t))
    return times[best], _bytes(folder, row[OFFSET] + sum(sizes[:best]), sizes[best])


def _bytes(folder: Path, offset: int, count: int) -> bytes:
    path = folder / FILE
    with files.reading(path), path.open("rb") as file:
        file.seek(offset)
        data = file.read(count)
    if len(data) != count:
        raise StoreError(f"{path} is damaged: it ends within a picture.")
    return data
