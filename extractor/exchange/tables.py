"""Arrays with a parquet table beside each: row i of one is row i of the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import UsageError
from core.files import reading
from core.types import KINDS, Float64Array, IntArray, Kind
from extractor.exchange.arrays import mapped
from extractor.exchange.found import Found, Rows, Vectors, at_rate
from extractor.exchange.values import as_path, plain
from extractor.texts import text_id

TIMES = ("start", "end")


def open_table(path: Path) -> pq.ParquetFile:
    """A parquet file, mapped."""
    try:
        with reading(path):
            return pq.ParquetFile(path, memory_map=True)
    except pa.ArrowException as error:
        raise UsageError(f"{path} is no parquet file: {error}.") from error


@dataclass(frozen=True)
class Pair:
    """One array and its table."""

    array: Path
    key: str = "path"  # the column that says which rows are of one source

    @property
    def table(self) -> Path:
        return self.array.with_suffix(".parquet")

    @property
    def kind(self) -> Kind:
        """By the file's name; pictures, if it is none of ours."""
        return next((kind for kind in KINDS if kind == self.array.stem), "frame")

    @cached_property
    def vectors(self) -> Vectors:
        return mapped(self.array)

    @cached_property
    def file(self) -> pq.ParquetFile:
        file = open_table(self.table)
        if file.metadata.num_rows != len(self.vectors):
            raise UsageError(
                f"{self.array} has {len(self.vectors)} rows and {self.table} {file.metadata.num_rows}."
            )
        return file

    @property
    def names(self) -> list[str]:
        return list(self.file.schema_arrow.names)

    def column(self, name: str) -> pa.ChunkedArray:
        """A whole column without holes, or a sentence."""
        if name not in self.names:
            raise UsageError(f"{self.table} has no column {name!r}; it has {', '.join(self.names)}.")
        found = self.file.read(columns=[name])[name]
        if found.null_count:
            raise UsageError(f"{self.table} lacks {found.null_count} values of its column {name!r}.")
        return found

    @cached_property
    def times(self) -> Mapping[str, Float64Array]:
        """Seconds of `start` and `end`, where it has them."""
        found = {name: self._seconds(name) for name in TIMES if name in self.names}
        if len(found) == len(TIMES) and (wrong := np.flatnonzero(found["end"] < found["start"])).size:
            row = int(wrong[0])
            raise UsageError(
                f"{self.table} row {row} ends at {found['end'][row]:g} s, before it starts at "
                f"{found['start'][row]:g} s."
            )
        return found

    def _seconds(self, name: str) -> Float64Array:
        try:
            found = self.column(name).cast(pa.float64()).to_numpy()
        except pa.ArrowException as error:
            raise UsageError(f"{self.table} column {name!r} must be seconds: {error}.") from error
        if not np.isfinite(found).all():
            raise UsageError(f"{self.table} column {name!r} holds what is no finite number.")
        return cast(Float64Array, found)

    @cached_property
    def groups(self) -> Mapping[Any, IntArray]:
        """The rows of each source in the order of the file, the sources by their first row."""
        keys = self.column(self.key).combine_chunks()
        coded = keys.dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
        names = coded.dictionary.to_pylist()
        return {name: order[bounds[i] : bounds[i + 1]] for i, name in enumerate(names)}

    @cached_property
    def texts(self) -> pa.ChunkedArray:
        return self.column("text")

    def rows(self, of: IntArray, *, is_sorted: bool, fps: float | None) -> Rows:
        """A source's rows, by their times."""
        if "start" not in self.times:
            return at_rate(self.vectors[of], fps, str(self.table))
        start = self.times["start"][of]
        if not is_sorted:
            by_time = np.argsort(start, kind="stable")
            of, start = of[by_time], start[by_time]
        end = self.times["end"][of] if "end" in self.times else _ends(start, fps)
        return Rows(self.vectors[of], start, end)

    def about(self, rows: IntArray, without: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The other columns of these rows, which must rise; no more is in memory than a part of the table."""
        names = [name for name in self.names if name not in (*TIMES, *without)]
        first = 0
        for batch in self.file.iter_batches(columns=names):
            here = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + len(batch))]
            yield from batch.take(pa.array(here - first)).to_pylist()
            first += len(batch)


def _ends(start: Float64Array, fps: float | None) -> Float64Array:
    """A picture is shown until the next one; the last as long as --fps says, or as the one before."""
    last = 1 / fps if fps else float(start[-1] - start[-2]) if len(start) > 1 else 0.0
    return np.append(start[1:], start[-1] + last)


@dataclass(frozen=True)
class Joined:
    """One source of some pairs: the columns of its first row, and which rows of each pair are its own."""

    name: Any
    held: Mapping[str, Any]
    rows: Mapping[Kind, tuple[Pair, IntArray]]

    @property
    def where(self) -> str:
        return str(next(iter(self.rows.values()))[0].table)


def joined(pairs: Sequence[Pair]) -> Iterator[Joined]:
    """Every source once: its frame and clip rows belong together."""
    done: set[Any] = set()
    for pair in pairs:
        new = [(int(rows[0]), name) for name, rows in pair.groups.items() if name not in done]
        done.update(name for _, name in new)
        new.sort(key=itemgetter(0))
        about = pair.about(np.array([first for first, _ in new], np.int64))
        for (_, name), held in zip(new, about, strict=True):
            yield Joined(name, held, _rows_of(name, pairs))


def _rows_of(name: Any, pairs: Sequence[Pair]) -> Mapping[Kind, tuple[Pair, IntArray]]:
    found: dict[Kind, tuple[Pair, IntArray]] = {}
    for pair in pairs:
        if (rows := pair.groups.get(name)) is not None:
            if other := found.get(pair.kind):
                raise UsageError(f"{pair.table} and {other[0].table} both hold {pair.kind} rows of {name!r}.")
            found[pair.kind] = pair, rows
    return found


@dataclass(frozen=True)
class Tables:
    """A user's own: `path`, and `start` and `end` or --fps; library texts in text.npy and text.parquet."""

    folder: Path
    fps: float | None

    def __iter__(self) -> Iterator[Found]:
        pairs = pairs_in(self.folder)
        for source in joined([pair for pair in pairs if pair.kind != "text"]):
            yield self._video(source)
        for pair in pairs:
            if pair.kind == "text":
                yield from self._texts(pair)

    def _video(self, source: Joined) -> Found:
        rows = {
            kind: pair.rows(of, is_sorted=False, fps=self.fps) for kind, (pair, of) in source.rows.items()
        }
        name = source.name
        path = as_path(os.fsdecode(name) if isinstance(name, bytes) else str(name))
        columns = {name: value for name, value in plain(source.held).items() if name != "path"}
        is_approximate = any("start" not in pair.times for pair, _ in source.rows.values())
        return Found(path, source.where, rows, columns, is_approximate)

    def _texts(self, pair: Pair) -> Iterator[Found]:
        about = pair.about(np.arange(len(pair.vectors)), without=["text", pair.key])
        lines = zip(pair.texts.to_pylist(), about, strict=True)
        yield from library_texts(pair.vectors, lines, pair.table, set())


def library_texts(
    vectors: Vectors, lines: Iterator[tuple[Any, Mapping[str, Any]]], table: Path, seen: set[str]
) -> Iterator[Found]:
    """A text and its columns for each vector; every text once, however many rows have it."""
    for row, (held, columns) in enumerate(lines):
        text = str(held).strip()
        source = text_id(text)
        if text and source not in seen:
            seen.add(source)
            rows = Rows(vectors[row : row + 1], np.zeros(1), np.zeros(1), (text,))
            name = f"{table.name}#{source}".encode()
            yield Found(name, str(table), {"text": rows}, plain(columns), source=source)


def pairs_in(folder: Path, key: str = "path") -> list[Pair]:
    """Every array of the folder, each with its table."""
    with reading(folder):
        arrays = sorted(folder.glob("*.npy"))
    found = [Pair(path, key) for path in arrays if path.name != "probes.npy"]
    found.sort(key=lambda pair: KINDS.index(pair.kind))
    for pair in found:
        if not pair.table.is_file():
            raise UsageError(
                f"{pair.array} has no {pair.table.name} beside it, which says what its rows are."
            )
    return found
