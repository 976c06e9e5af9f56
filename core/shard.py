"""What was embedded in one commit: vectors, the seconds each stands for, and what they are of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core import files, lines, npy, thumbs
from core.errors import StoreError
from core.thumbs import Tiles
from core.types import KINDS, Float64Array, IntArray, Kind, Thumbs, canonical

_ANEW = "A backup has it, or `extract --again` makes it anew."


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one kind in a shard: row i of each array, and of the vectors, belong together."""

    source: IntArray  # line of the shard's sources
    start: Float64Array
    end: Float64Array
    text: pa.ChunkedArray | None = None  # only kind "text"
    origin: pa.ChunkedArray | None = None  # of these, where they are from; older shards do not say

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Shard:
    """What was embedded in one commit, by content. Never changed once it has its name."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Format, encoder, created, version, rows per kind, files with sizes and hashes."""
        return files.read_sealed(self.path / "manifest.json")

    @cached_property
    def sources(self) -> pa.Table:
        """A line per source and layer: id, layer, facts, rows per kind."""
        return self._table("sources")

    def count(self, kind: Kind) -> int:
        """Rows of that kind."""
        return int(self.manifest["rows"].get(kind, 0))

    def rows(self, kind: Kind) -> Rows:
        """The segments of one kind, in the order of its vectors."""
        table = self._table(kind)
        return Rows(
            table["source"].to_numpy().astype(np.int64),
            table["start"].to_numpy(),
            table["end"].to_numpy(),
            table["text"] if kind == "text" else None,
            table["origin"] if "origin" in table.column_names else None,
        )

    def vectors(self, kind: Kind) -> np.ndarray[Any, np.dtype[np.float16]]:
        """float16 [rows, dim], mapped and not read."""
        path = self.path / f"{kind}.npy"
        rows, half = self.count(kind), np.dtype(np.float16)
        try:
            with files.reading(path):
                dim = npy.content_bytes(path) // half.itemsize // max(rows, 1)
                return npy.mapped(path, half, (rows, dim))
        except ValueError as error:
            raise StoreError(f"{path} is damaged: {error}.") from error

    def lines(self) -> lines.Lines:
        """The timed lines of all layers, whether they have vectors or not."""
        is_there = lines.FILE in self.manifest["files"]
        return lines.read(self._table(lines.FILE.removesuffix(".parquet")) if is_there else None)

    def thumbs(self, source: str) -> Thumbs:
        """All thumbnails of a source."""
        row = self._visual(source)
        return thumbs.read(self.path, row) if row else Thumbs()

    @cached_property
    def tiles(self) -> Tiles:
        """Where the thumbnails of all sources lie."""
        return Tiles.of(self._table("sources"))  # not self.sources, which would stay

    def thumbnail(self, source: str, t: float) -> tuple[float, bytes] | None:
        """When the thumbnail nearest to second t is shown, and its JPEG; None where the source has none."""
        return self.tiles.nearest(self.path, source, t)

    def _visual(self, source: str) -> dict[str, Any] | None:
        table = self.sources
        kept = pc.and_(pc.equal(table["id"], source), pc.equal(table["layer"], "visual"))
        return next(iter(table.filter(kept).to_pylist()), None)

    def damage(self, *names: str) -> list[str]:
        """One sentence for each of these files, or of all, whose bytes are not the ones that were written."""
        try:
            listed = self.manifest["files"]
        except StoreError as error:
            return [str(error)]
        paths = {self.path / name: held["blake2b"] for name, held in listed.items()}
        asked = {path: seal for path, seal in paths.items() if path.name in (names or listed)}
        missing = [f"{path} is missing." for path in asked if not path.exists()]
        return missing + [
            f"{path} is damaged: its hash is not the one its manifest holds."
            for path, seal in asked.items()
            if path.exists() and _hash(path) != seal
        ]

    def require_readable(self) -> None:
        """Refuse a table that is not as it was written, and vectors of another size: less than every byte."""
        self.whole(*(name for name in self.manifest["files"] if name.endswith(".parquet")))
        for kind in KINDS:
            if self.count(kind):
                self.vectors(kind)

    def whole(self, *names: str) -> Self:
        """This one, or StoreError where these files, or any, are not as they were written: what is made of
        damaged ones is sealed anew, and nobody would find it."""
        for wrong in self.damage(*names):
            raise StoreError(f"{wrong} {_ANEW}")
        return self

    def _table(self, name: str) -> pa.Table:
        path = self.path / f"{name}.parquet"
        try:
            return pq.read_table(path, memory_map=True)
        except FileNotFoundError:
            raise StoreError(f"{path} is missing. {_ANEW}") from None
        except (OSError, pa.ArrowException) as error:
            why = getattr(error, "strerror", None)
            if why is None and isinstance(error, OSError | pa.ArrowInvalid):  # in a library's words
                raise StoreError(f"{path} is damaged: it holds no table. {_ANEW}") from error
            raise StoreError(f"{path} cannot be read: {why or error}.") from error


def _hash(path: Path) -> str:
    with files.reading(path):
        return files.hash_file(path)


def manifest_hash(manifest: dict[str, Any]) -> str:
    """What the log holds of a shard's manifest."""
    return files.hash_bytes(canonical(manifest).encode())
