"""The live sources of a snapshot: one mapped Arrow file, sorted by id. A line of it is a source's number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.errors import SnapshotError
from core.rules import LiveSource
from core.types import Facts, IntArray, Place, canonical
from index import mapped
from index.names import Names
from index.recent import Recent
from index.strings import Strings

FILE = "sources.arrow"
_ARROW = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_()}
FACTS = {f.name: _ARROW[str(f.type)] for f in fields(Facts) if str(f.type) in _ARROW}  # shots stay in shards
_PLACE = pa.struct([("root", pa.binary()), ("path", pa.binary()), ("stamp", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("places", pa.list_(_PLACE)),
        *FACTS.items(),
        ("columns", pa.string()),
        ("text", pa.string()),
    ]
)
_BATCH = 65_536
LINES, INFO_BYTES = 1_024, 4 << 20  # that are remembered
_OVERHEAD = 1_000  # bytes that Python needs around what is known of a source


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a snapshot knows of one source."""

    id: str
    places: tuple[Place, ...] = ()
    facts: Facts = field(default_factory=Facts)
    columns: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def paths(self) -> list[str]:
        """Places as people read them, in order; what is no Unicode is shown as U+FFFD."""
        held = {place.shown.encode(errors="surrogateescape") for place in self.places}
        return sorted(path.decode(errors="replace") for path in held)


@dataclass(frozen=True, slots=True)
class Known:
    """What the shards hold of a source beside its rows."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


def _weight(line: int, info: SourceInfo) -> int:
    columns = sum(len(name) + len(str(value)) for name, value in info.columns.items())
    places = sum(len(place.root) + len(place.path) + _OVERHEAD // 4 for place in info.places)
    return _OVERHEAD + places + 4 * (len(info.text) + columns)


def write(path: Path, live: Iterable[LiveSource], known: Mapping[str, Known]) -> None:
    """All live sources, which come sorted by id, with what is known of them."""
    rows = (_row(source, known.get(source.id, Known())) for source in live)
    with path.open("wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))


def _row(source: LiveSource, known: Known) -> dict[str, Any]:
    plain = Facts()
    return {
        "id": source.id,
        "places": [_place_row(place) for place in source.places],
        **{name: _or(known.facts.get(name), getattr(plain, name)) for name in FACTS},
        "columns": canonical(dict(source.columns)),
        "text": known.text,
    }


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _place_row(place: Place) -> dict[str, Any]:
    root = place.root.encode(errors="surrogateescape")
    return {"root": root, "path": place.path, "stamp": place.stamp}


@dataclass(frozen=True)
class Sources:
    """The lines of a sources.arrow, mapped."""

    table: pa.Table
    # What was looked up lately: the same sources are found again and again.
    _lines: Recent[str, int] = field(default_factory=lambda: Recent(LINES), repr=False, compare=False)
    _infos: Recent[int, SourceInfo] = field(
        default_factory=lambda: Recent(INFO_BYTES, _weight), repr=False, compare=False
    )

    @classmethod
    def open(cls, path: Path, held: Mapping[str, Any] | None) -> Sources:
        """Map it, or SnapshotError."""
        mapped.require(path, held)
        try:
            with pa.memory_map(str(path)) as file:
                table = pa.ipc.open_file(file).read_all()
            # Where a string ends is not looked at when it is read: 60 ms for a million sources, once.
            table.validate(full=True)
            is_whole = _fits(table.schema)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # of a name
            reason = str(error).partition("\n")[0].rstrip(".")
            raise SnapshotError(f"{path} cannot be read: {reason}.") from error
        if not is_whole:
            raise SnapshotError(f"{path} is damaged: a column is missing or of another type.")
        if table["id"].null_count:
            raise SnapshotError(f"{path} is damaged: a source has no id.")
        return cls(table)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def _ids(self) -> Strings:
        return Strings.of(self.table["id"])

    @cached_property
    def _texts(self) -> pa.ChunkedArray:
        return self.table["text"]

    @cached_property
    def _columns(self) -> dict[str, pa.ChunkedArray]:
        return {name: self.table[name] for name in self.table.column_names}

    def id(self, line: int) -> str:
        """The id of the source at a line."""
        return self._ids[line]

    def names(self, lines: IntArray) -> Names:
        """The ids at these lines, which are ordered as the lines are: each is read when it is asked for."""
        return Names(lines, self._ids.__getitem__)

    def named(self, lines: IntArray) -> list[str]:
        """The same, read."""
        return [*self.names(lines)]

    def text(self, line: int) -> str:
        """A library text; "" where the source is a video."""
        return str(self._texts[line].as_py())

    def ids(self) -> Iterator[str]:
        """All ids, in order."""
        return iter(self._ids)

    def rows(self, *names: str) -> Iterator[dict[str, Any]]:
        """These columns of all lines, in order."""
        for batch in self.table.select(names).to_batches():
            yield from batch.to_pylist()

    def find(self, id: str) -> int:
        """The line of a source, -1 where it is not live."""
        known = self._lines.get(id)
        line = self._find(id) if known is None else known
        if known is None and line >= 0:  # what a stranger made up, of whatever length, is not remembered
            self._lines.put(id, line)
        return line

    def _find(self, id: str) -> int:
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.id(middle) < id:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self.id(low) == id else -1

    def lines(self, ids: Iterable[str]) -> Sequence[int]:
        """The lines of those of these sources that are live, sorted."""
        return sorted(line for line in map(self.find, ids) if line >= 0)

    def info(self, line: int) -> SourceInfo:
        """Everything about the source at a line."""
        if (info := self._infos.get(line)) is None:
            info = self._info(line)
            self._infos.put(line, info)
        return info

    def _info(self, line: int) -> SourceInfo:
        row = {name: column[line].as_py() for name, column in self._columns.items()}
        try:
            facts, columns = {name: row[name] for name in FACTS if name in row}, json.loads(row["columns"])
            if None in facts.values() or row["text"] is None or not isinstance(columns, dict):
                raise ValueError("a fact is unknown, or columns are none")
            places = tuple(place_of(held) for held in row["places"])
            return SourceInfo(row["id"], places, Facts(**facts), columns, row["text"])
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise SnapshotError(f"{FILE} is damaged: its line {line} makes no sense.") from error


def _fits(found: pa.Schema) -> bool:
    """Whether what every version writes is there, and each column that is known once and of its type."""
    known = [name for name in found.names if name in SCHEMA.names]
    is_whole = set(known) >= set(SCHEMA.names) - FACTS.keys() and len(known) == len(set(known))
    return is_whole and all(found.field(name).type == SCHEMA.field(name).type for name in known)


def place_of(held: Mapping[str, Any]) -> Place:
    """As a line of sources.arrow has it."""
    return Place(held["root"].decode(errors="surrogateescape"), held["path"], held["stamp"])
