"""Thumbnails in a shard: JPEGs one behind the other in `thumbs.bin`, found by the shard's sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core import files
from core.errors import StoreError
from core.types import Float64Array, IntArray, Thumbs

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


@dataclass(frozen=True)
class Tiles:
    """Where all tiles of a shard lie, and when each is shown: some arrays, however many there are."""

    ids: NDArray[np.bytes_]  # of the sources that have tiles, sorted
    offsets: IntArray  # in the file, of the first tile of each
    edges: IntArray  # of each one's tiles in what follows
    times: Float64Array
    sizes: IntArray

    @classmethod
    def of(cls, sources: pa.Table) -> Tiles:
        """From a shard's sources."""
        if not {*COLUMNS} <= {*sources.column_names}:
            none = np.empty(0, np.int64)
            return cls(np.empty(0, "S1"), none, np.zeros(1, np.int64), np.empty(0), none)
        kept = sources.select(["id", *COLUMNS]).filter(pc.is_valid(sources[OFFSET])).sort_by("id")
        kept = kept.combine_chunks()
        counts = pc.list_value_length(kept[TIMES]).to_numpy()
        return cls(
            np.array(kept["id"].to_pylist(), "S") if len(kept) else np.empty(0, "S1"),
            kept[OFFSET].to_numpy(),
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
            pc.list_flatten(kept[TIMES]).to_numpy(),
            pc.list_flatten(kept[SIZES]).to_numpy().astype(np.int64),
        )

    def times_of(self, source: str) -> Float64Array:
        """When each tile of a source is shown."""
        return self.times[self._slice(source)[1]]

    def nearest(self, folder: Path, source: str, t: float) -> tuple[float, bytes] | None:
        """When the tile nearest to second t is shown, and its JPEG; None where the source has none."""
        at, mine = self._slice(source)
        times, sizes = self.times[mine], self.sizes[mine]
        if not len(times):
            return None
        best = int(np.argmin(np.abs(times - t)))
        offset = int(self.offsets[at] + sizes[:best].sum())
        return float(times[best]), _bytes(folder, offset, int(sizes[best]))

    def _slice(self, source: str) -> tuple[int, slice]:
        id = source.encode()
        at = int(np.searchsorted(self.ids, id))
        if at == len(self.ids) or self.ids[at] != id:
            return 0, slice(0, 0)
        return at, slice(int(self.edges[at]), int(self.edges[at + 1]))


def _bytes(folder: Path, offset: int, count: int) -> bytes:
    path = folder / FILE
    with files.reading(path), path.open("rb") as file:
        file.seek(offset)
        data = file.read(count)
    if len(data) != count:
        raise StoreError(f"{path} is damaged: it ends within a picture.")
    return data
