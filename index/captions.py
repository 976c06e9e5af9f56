"""What was written about a video's clips when it was embedded."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from core.shard import Shard
from core.types import Line
from index.snapshot import Snapshot


def captions(view: Snapshot, source: str, start: float = -math.inf, end: float = math.inf) -> list[Line]:
    """Those that reach into [start, end), by time."""
    found = []
    for part, positions in view.reaching(source, "text", start, end):
        for record in part.part.rows[positions]:
            try:
                shard = view.store.shard(part.about.shards[record["shard"]])
                texts, origins = _texts(shard.path)
                row = int(record["row"])
                if origins is not None and origins[row].as_py() == "captions":
                    found.append(Line(float(record["start"]), float(record["end"]), texts[row].as_py()))
            except IndexError:
                raise part.part.damaged() from None
    return sorted(found, key=lambda line: (line.start, line.end))


@lru_cache(maxsize=16)
def _texts(shard: Path) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    rows = Shard(shard).rows("text")
    return rows.text, rows.origin
