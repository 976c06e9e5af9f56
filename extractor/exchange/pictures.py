"""Folders of clip-retrieval: img_emb/, text_emb/ and metadata/, in numbered partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core import files
from core.errors import UsageError
from core.types import Float64Array, IntArray, canonical
from extractor.exchange.arrays import mapped
from extractor.exchange.found import Found, Rows, Vectors
from extractor.exchange.tables import library_texts, open_table
from extractor.exchange.values import as_path, plain

IMAGES, TEXTS, METADATA = "img_emb", "text_emb", "metadata"
_NUMBERED = re.compile(r"(.*?)(\d+)(?:\.[^./]*)?", re.DOTALL)
# Where the pictures of a video lie in a folder of their own, that folder is its name.
_NO_NAME = frozenset(("", "frame", "img", "image", "out", "output", "thumb"))
_NOTHING: Mapping[str, Any] = {}
_MOST_VALUES = 64  # of a column in which the pictures of a video differ


@dataclass(frozen=True)
class Partition:
    """Vectors, and what the metadata say of each."""

    array: Path
    metadata: Path

    @cached_property
    def vectors(self) -> Vectors:
        return mapped(self.array)

    @cached_property
    def table(self) -> pa.Table:
        if not self.metadata.is_file():
            raise UsageError(
                f"{self.array} has no {METADATA}/{self.metadata.name} that says what its rows are."
            )
        table = open_table(self.metadata).read()
        if len(table) != len(self.vectors):
            raise UsageError(f"{self.array} has {len(self.vectors)} rows and {self.metadata} {len(table)}.")
        return table

    def column(self, name: str) -> list[str]:
        if name not in self.table.column_names:
            raise UsageError(f"{self.metadata} has no column {name!r}.")
        return ["" if value is None else str(value) for value in self.table[name].to_pylist()]

    def about(self, rows: IntArray, without: str) -> list[dict[str, Any]]:
        """The other columns of these rows."""
        kept = [name for name in self.table.column_names if name != without]
        return [plain(row) for row in self.table.select(kept).take(pa.array(rows)).to_pylist()]


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of one video are, in the order of their numbers."""

    number: Float64Array
    partition: IntArray
    row: IntArray


@dataclass(frozen=True)
class EncodedPictures:
    """What clip-retrieval's inference wrote: pictures of videos, or each one of its own, and captions."""

    folder: Path
    fps: float | None
    stills: bool

    def __iter__(self) -> Iterator[Found]:
        yield from self._stills() if self.stills else self._videos()
        seen: set[str] = set()
        for each in self._partitions(TEXTS):
            lines = zip(each.column("caption"), repeat(_NOTHING))
            yield from library_texts(each.vectors, lines, self.folder / TEXTS, seen)

    def _partitions(self, name: str) -> list[Partition]:
        pattern = re.compile(rf"{name}_(\d+)\.npy")
        found = [
            (match[1], match[0])
            for each in files.names(self.folder / name)
            if (match := pattern.fullmatch(each))
        ]
        metadata = self.folder / METADATA
        partitions = [
            Partition(self.folder / name / file, metadata / f"{METADATA}_{number}.parquet")
            for number, file in sorted(found, key=lambda each: int(each[0]))
        ]
        for each in partitions:
            dim, first = each.vectors.shape[1], partitions[0].vectors.shape[1]
            if dim != first:
                raise UsageError(f"{each.array} holds vectors of {dim} numbers, not of {first}.")
        return partitions

    def _stills(self) -> Iterator[Found]:
        for each in self._partitions(IMAGES):
            about = each.about(np.arange(len(each.vectors)), without="image_path")
            for row, (path, columns) in enumerate(zip(each.column("image_path"), about, strict=True)):
                rows = Rows(each.vectors[row : row + 1], np.zeros(1), np.zeros(1))
                yield Found(as_path(path), str(each.metadata), {"frame": rows}, columns)

    # --- pictures that are of videos -----------------------------------------------------------------

    def _videos(self) -> Iterator[Found]:
        partitions = self._partitions(IMAGES)
        if partitions and self.fps is None:
            raise UsageError(
                f"{self.folder / IMAGES} holds pictures without times; --fps says how many of them a second "
                "of video has, --stills that each is one of its own."
            )
        for name, pictures in _grouped(partitions):
            yield self._video(name, pictures, partitions)

    def _video(self, name: str, pictures: Pictures, partitions: list[Partition]) -> Found:
        assert self.fps is not None
        numbers = np.unique(pictures.partition).tolist()
        vectors = np.empty((len(pictures.row), partitions[0].vectors.shape[1]), np.float32)
        about: list[dict[str, Any]] = []
        for number in numbers:
            mine = pictures.partition == number
            vectors[mine] = partitions[number].vectors[pictures.row[mine]]
            about += partitions[number].about(pictures.row[mine], without="image_path")
        # ffmpeg counts pictures from 1; where one has the number 0, they are counted from there.
        start = (pictures.number - min(1.0, pictures.number[0])) / self.fps
        rows = Rows(vectors, start, np.append(start[1:], start[-1] + 1 / self.fps))
        where = str(partitions[numbers[0]].metadata)
        return Found(as_path(name), where, {"frame": rows}, _in_common(about), approximate=True)


def _grouped(partitions: list[Partition]) -> Iterator[tuple[str, Pictures]]:
    """The work was dealt out picture by picture, so those of one video are in all partitions."""
    codes: dict[str, int] = {}
    held: list[tuple[int, float, int, int]] = []
    for p, partition in enumerate(partitions):
        for row, path in enumerate(partition.column("image_path")):
            name, number = video_of(path, partition.metadata)
            held.append((codes.setdefault(name, len(codes)), number, p, row))
    table = np.array(held, np.float64).reshape(-1, 4)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    bounds = np.searchsorted(table[:, 0], np.arange(len(codes) + 1))
    for code, name in enumerate(codes):
        mine = table[bounds[code] : bounds[code + 1]]
        yield name, Pictures(mine[:, 1], mine[:, 2].astype(np.int64), mine[:, 3].astype(np.int64))


def video_of(path: str, where: Path) -> tuple[str, float]:
    """The video that a picture is of, and its number there: `a/b_0007.jpg` is number 7 of `a/b`."""
    folder, slash, name = path.rpartition("/")
    match = _NUMBERED.fullmatch(name)
    if not match:
        raise UsageError(
            f"{where} holds the image_path {path!r} without a number at its end, by which pictures of a "
            "video are in order; --stills takes each as one of its own."
        )
    stem = match[1].rstrip("_-. ")
    if stem.lower().rstrip("s") in _NO_NAME and folder:
        return folder, float(match[2])
    return f"{folder}{slash}{stem}", float(match[2])


def _in_common(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A column's value where all pictures have the same, else their different ones, if those are few."""
    values: dict[str, dict[str, Any]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, {})[canonical(value)] = value
    few = {name: list(found.values()) for name, found in values.items() if len(found) <= _MOST_VALUES}
    return {name: found[0] if len(found) == 1 else found for name, found in few.items()}
