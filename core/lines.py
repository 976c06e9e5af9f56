"""Timed lines of sources in a shard: `lines.parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.types import Float64Array, IntArray, Layer, Line

FILE = "lines.parquet"
SCHEMA = pa.schema(
    [
        ("source", pa.int32()),  # line of the shard's sources
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("origin", pa.string()),
        ("language", pa.string()),
        ("written_by", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Lines:
    """The timed lines of a shard: value i of each belongs together. A layer's lie together, by time."""

    source: IntArray  # line of the shard's sources
    start: Float64Array
    end: Float64Array
    text: pa.ChunkedArray
    origin: pa.ChunkedArray
    language: pa.ChunkedArray
    written_by: pa.ChunkedArray | None = None  # of captions; older shards do not say

    def __len__(self) -> int:
        return len(self.source)

    def of(self, line: int) -> list[Line]:
        """Those of one line of the shard's sources."""
        at = slice(*np.searchsorted(self.source, (line, line + 1)).tolist())
        columns = (self.start[at].tolist(), self.end[at].tolist())
        texts = [column[at].to_pylist() for column in (self.text, self.language)]
        if self.written_by is not None:
            texts.append([name or "" for name in self.written_by[at].to_pylist()])
        return [Line(*values) for values in zip(*columns, *texts, strict=True)]


def origin_of(layer: Layer) -> str:
    """What rows and lines of a layer are: "library", "subtitles", "sidecar", "captions"."""
    return "library" if layer == "text" else layer.partition(":")[0]


def write(folder: Path, held: Sequence[tuple[Layer, Sequence[Line]]]) -> int:
    """All lines of what becomes the shard's sources, in that order; how many. No file without lines."""
    rows = [
        {
            "source": number,
            "start": line.start,
            "end": line.end,
            "text": line.text,
            "origin": origin_of(layer),
            "language": line.language,
            "written_by": line.written_by,
        }
        for number, (layer, lines) in enumerate(held)
        for line in lines
    ]
    if rows:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / FILE, compression="zstd")
    return len(rows)


def read(table: pa.Table | None) -> Lines:
    """What such a file holds; of none, no lines."""
    table = SCHEMA.empty_table() if table is None else table
    return Lines(
        table["source"].to_numpy().astype(np.int64),
        table["start"].to_numpy(),
        table["end"].to_numpy(),
        table["text"],
        table["origin"],
        table["language"],
        table["written_by"] if "written_by" in table.column_names else None,
    )


def sorted_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """By time, each once."""
    return tuple(sorted(dict.fromkeys(lines), key=lambda line: (line.start, line.end)))
