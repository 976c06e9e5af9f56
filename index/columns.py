"""What filters look at: the columns of a snapshot's sources, each of one type, in one mapped Arrow file."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.errors import SnapshotError
from core.rules import LiveSource
from core.types import Place, canonical
from index import mapped
from index.sources import Known, Sources, place_of

FILE = "columns.arrow"
METADATA = "metadata."  # and then the name of a column of the user's
Type = Literal["text", "number", "boolean", "date"]
Lines = NDArray[np.int32]

OF_PLACES = ("root", "path", "name")
FACTS: dict[str, Type] = {  # of sources.arrow as they are; 0 and "" are what nobody knows
    "seconds": "number",
    "width": "number",
    "height": "number",
    "codec": "text",
    "size": "number",
}
_HELD: dict[str, tuple[Type, pa.DataType]] = {  # a line of the file has values of one of these
    "text": ("text", pa.large_string()),
    "integer": ("number", pa.int64()),
    "number": ("number", pa.float64()),
    "boolean": ("boolean", pa.bool_()),
    "date": ("date", pa.timestamp("us", "UTC")),
}
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("lines", pa.large_list(pa.int32())),
        *((name, pa.large_list(held)) for name, (_, held) in _HELD.items()),
    ]
)
_LONE = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Described:
    """What the columns of one source are made of."""

    places: Sequence[Place]
    created: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """Values, and the line of the source that each is of; a source may have several, or none."""

    type: Type
    values: pa.Array
    lines: Lines

    @cached_property
    def as_numbers(self) -> Column | None:
        """Text of which every value is spelled as a number, as a CSV's are; else None."""
        try:
            numbers = pc.cast(self.values, pa.float64())
        except pa.ArrowInvalid:
            return None
        is_finite = bool(np.isfinite(numbers.to_numpy()).all())
        return Column("number", numbers, self.lines) if is_finite else None


def instant(text: str) -> int | None:
    """Microseconds since 1970 of an ISO 8601 date, in UTC where it names no zone; None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def typed(sources: Iterable[Described]) -> dict[str, Column]:
    """The columns of places, `created` and the user's: numbers if all values are, else text."""
    held: dict[str, tuple[list[int], list[Any]]] = {name: ([], []) for name in (*OF_PLACES, "created")}
    for line, source in enumerate(sources):
        for name, value in _values(source):
            lines, values = held.setdefault(name, ([], []))
            several = [each for each in (value if isinstance(value, list) else [value]) if each is not None]
            lines += [line] * len(several)
            values += several
    return {
        name: Column(*(_dates(values) if name == "created" else _typed(values)), np.array(lines, np.int32))
        for name, (lines, values) in held.items()
    }


def _values(source: Described) -> Iterator[tuple[str, Any]]:
    for place in source.places:
        path = place.shown
        yield "root", place.root
        yield "path", path
        yield "name", path.rpartition("/")[2]
    if (created := instant(source.created)) is not None:
        yield "created", created
    for name, value in source.columns.items():
        yield METADATA + clean(name), value


def _typed(values: Sequence[Any]) -> tuple[Type, pa.Array]:
    types = set(map(type, values))
    try:
        if types == {bool}:
            return "boolean", pa.array(values, pa.bool_())
        if types == {int} and -(2**63) <= min(values) <= max(values) < 2**63:
            return "number", pa.array(values, pa.int64())
        if types and types <= {int, float}:
            return "number", pa.array([float(value) for value in values], pa.float64())
    except OverflowError:  # an integer that no float64 is
        pass
    texts = [value if isinstance(value, str) else canonical(value) for value in values]
    try:
        return "text", pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return "text", pa.array(map(clean, texts), pa.large_string())


def _dates(values: Sequence[int]) -> tuple[Type, pa.Array]:
    return "date", pa.array(values, pa.int64()).cast(pa.timestamp("us", "UTC"))


def clean(text: str) -> str:
    """With U+FFFD for what is no Unicode."""
    return _LONE.sub("\ufffd", text)


def write(path: Path, live: Iterable[LiveSource], known: Mapping[str, Known]) -> None:
    """The columns of all live sources, a batch of one line each, so that one is read alone."""
    columns = typed(_told(source, known.get(source.id, Known())) for source in live)
    with path.open("wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        for name, column in sorted(columns.items()):
            writer.write_batch(_batch(name, column))


def _told(source: LiveSource, known: Known) -> Described:
    return Described(source.places, known.facts.get("created") or "", source.columns)


def _batch(name: str, column: Column) -> pa.RecordBatch:
    lists = {"lines": pa.array(column.lines), _kind(column): column.values}
    arrays = [
        _one_list(lists[each.name]) if each.name in lists else pa.nulls(1, each.type) for each in SCHEMA
    ]
    return pa.RecordBatch.from_arrays([pa.array([name]), *arrays[1:]], schema=SCHEMA)


def _kind(column: Column) -> str:
    return next(kind for kind, (_, held) in _HELD.items() if held == column.values.type)


def _one_list(values: pa.Array) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)


def _described(row: Mapping[str, Any]) -> Described:
    return Described(tuple(map(place_of, row["places"])), row["created"], json.loads(row["columns"]))


@dataclass(frozen=True)
class Columns:
    """The columns of a snapshot by name, each made ready when it is asked for first. Thread-safe."""

    sources: Sources
    path: Path
    batches: Mapping[str, pa.RecordBatch] | None  # None: the snapshot is older than such files
    kept: dict[str, object] = field(default_factory=dict, repr=False, compare=False)  # made of them by others
    _held: dict[str, Column] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, path: Path, held: Mapping[str, Any] | None, sources: Sources) -> Columns:
        """Map them, or SnapshotError."""
        if held is None:
            return cls(sources, path, None)
        mapped.require(path, held)
        try:
            with pa.memory_map(str(path)) as mapping:
                file = pa.ipc.open_file(mapping)
                batches = [file.get_batch(number) for number in range(file.num_record_batches)]
                for batch in batches:
                    batch.column("name").validate(full=True)
                return cls(sources, path, {batch.column("name")[0].as_py(): batch for batch in batches})
        except (OSError, LookupError, pa.ArrowException, UnicodeDecodeError) as error:
            raise SnapshotError(f"{path} cannot be read: {error}.") from error

    @property
    def names(self) -> list[str]:
        """All of them, the user's last."""
        own = list(self._made() if self.batches is None else self.batches)
        return [*OF_PLACES, "created", *FACTS, *sorted(name for name in own if name.startswith(METADATA))]

    def get(self, name: str) -> Column | None:
        """The column of that name, None where there is none."""
        if name not in self._held:
            if name in FACTS:
                self._held[name] = self._fact(name)
            elif self.batches is None:
                self._made()
            elif name in self.batches:
                self._held[name] = self._read(self.batches[name])
        return self._held.get(name)

    def _made(self) -> Mapping[str, Column]:
        """All of them from the sources themselves, a second for 70,000."""
        with self._making:
            if "path" not in self._held:
                rows = self.sources.rows("places", "created", "columns")
                self._held.update(typed(map(_described, rows)))
        return self._held

    def _fact(self, name: str) -> Column:
        values = self.sources.table[name].combine_chunks()
        unknown = pa.scalar(0 if FACTS[name] == "number" else "", values.type)
        lines = np.flatnonzero(pc.not_equal(values, unknown))
        known = values if len(lines) == len(values) else values.take(pa.array(lines))
        return Column(FACTS[name], known, lines.astype(np.int32))

    def _read(self, batch: pa.RecordBatch) -> Column:
        """Every byte is looked at: what Arrow takes on trust may lead it anywhere."""
        try:
            batch.validate(full=True)
            kind = next(kind for kind in _HELD if batch.column(kind).null_count == 0)
            values, lines = batch.column(kind).flatten(), batch.column("lines").flatten()
        except (StopIteration, LookupError, pa.ArrowException, UnicodeDecodeError) as error:
            raise SnapshotError(f"{self.path} is damaged: {error}.") from error
        numbers = lines.to_numpy()
        is_whole = len(values) == len(lines) and not values.null_count and not lines.null_count
        if not is_whole or (len(lines) and not 0 <= numbers.min() <= numbers.max() < len(self.sources)):
            raise SnapshotError(f"{self.path} is damaged: it names sources that are not there.")
        return Column(_HELD[kind][0], values, numbers)
