"""Lines of a .txt, .jsonl, .csv or .parquet file as objects: what texts and lists are read by."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import UsageError
from core.types import canonical
from extractor.url import scrubbed, shorn

_CSV_FIELD_BYTES = 1 << 24
_BATCH_ROWS = 4_096
_DEEPEST = 64  # lists and objects within each other in one line
_TOO_DEEP = f"it is nested deeper than {_DEEPEST} levels"


@dataclass(frozen=True, slots=True)
class Line:
    """One object of the file: its number, counted from 1, and its fields."""

    file: Path
    number: int
    fields: dict[str, Any]
    names: Sequence[str] | None = None  # all that a line can have; None: as many as it likes

    def wrong(self, what: str) -> UsageError:
        """What is wrong with it, as one sentence."""
        return _wrong(self.file, self.number, what)

    def name_of(self, *names: str) -> str:
        """The first of these fields that it has, or the only one there is, or ""."""
        held = self.fields if self.names is None else self.names
        alone = self.names[0] if self.names and len(self.names) == 1 else ""
        return next((name for name in names if name in held), alone)


def read_lines(file: Path, plain: str, errors: str = "strict") -> Iterator[Line]:
    """Each line that is not empty. plain: the field that a line of text alone is; errors: of bytes in it."""
    try:
        match file.suffix.lower():
            case ".txt":
                yield from _read_txt(file, plain, errors)
            case ".parquet":
                yield from _read_parquet(file)
            case suffix:
                yield from _READERS[suffix](file, plain)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}.") from error


def columns_of(fields: Mapping[str, Any]) -> str | None:
    """The user's columns as one JSON object, no address with its secrets; None where there are none."""
    held = {name: shorn(value) for name, value in fields.items() if value is not None}
    return canonical(held) if held else None


def _read_txt(file: Path, plain: str, errors: str) -> Iterator[Line]:
    with file.open(encoding="utf-8-sig", errors=errors) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield Line(file, number, {plain: line.removesuffix("\n")})


def _read_jsonl(file: Path, plain: str) -> Iterator[Line]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield Line(file, number, _json_line(file, number, line, plain))


def _json_line(file: Path, number: int, line: str, plain: str) -> dict[str, Any]:
    try:
        held = json.loads(line, parse_constant=_finite, parse_float=_finite)
    except ValueError as error:
        raise _wrong(file, number, f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise _wrong(file, number, _TOO_DEEP) from error
    if _is_deep(held, _DEEPEST):
        raise _wrong(file, number, _TOO_DEEP)
    if isinstance(held, str):
        return {plain: held}
    if not isinstance(held, dict):
        raise _wrong(file, number, f"it must be an object (got {line.strip()[:60]!r})")
    return held


def _finite(number: str) -> float:
    found = float(number)
    if not math.isfinite(found):
        raise ValueError(f"{number} is no finite number")
    return found


def _is_deep(held: object, most: int) -> bool:
    if not isinstance(held, dict | list):
        return False
    inner = held.values() if isinstance(held, dict) else held
    return most == 0 or any(_is_deep(each, most - 1) for each in inner)


def _read_csv(file: Path, _plain: str) -> Iterator[Line]:
    csv.field_size_limit(_CSV_FIELD_BYTES)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            names = list(reader.fieldnames or ())
            _check_header(file, names)
            for row in reader:
                if None in row:
                    raise _wrong(file, reader.line_num, f"it has more than the {len(names)} fields of line 1")
                held = {name: value for name, value in row.items() if value}
                if held:
                    yield Line(file, reader.line_num, held, names)
        except csv.Error as error:
            raise _wrong(file, reader.line_num, str(error)) from error


def _check_header(file: Path, names: Sequence[str]) -> None:
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise _wrong(file, 1, f"two columns are called {twice[0]!r}")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise _wrong(file, 1, f"its columns are not parted by commas (got {names[0][:60]!r})")


def _read_parquet(file: Path) -> Iterator[Line]:
    try:
        with pq.ParquetFile(file, memory_map=False, pre_buffer=False) as held:
            names, number = held.schema_arrow.names, 0
            for batch in held.iter_batches(batch_size=_BATCH_ROWS):
                for row in _whole_us(batch).to_pylist():
                    number += 1
                    fields = {name: value for name, value in row.items() if value is not None}
                    yield Line(file, number, _plain_values(file, number, fields), names)
    except (pa.ArrowException, ValueError) as error:
        raise UsageError(f"{file} is not Parquet: {str(error).partition(chr(10))[0]}.") from error


def _whole_us(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Without nanoseconds, which Python's times do not have."""
    arrays = [
        column.cast(pa.timestamp("us", column.type.tz), safe=False)
        if pa.types.is_timestamp(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _plain_values(file: Path, number: int, fields: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in fields.items():
        try:
            found[name] = _as_json(value)
        except ValueError as error:
            raise _wrong(file, number, f"its {name} {error}") from error
    return found


def _as_json(value: Any) -> Any:
    """A value of Parquet's as JSON has it: dates and times as ISO text, lengths of time as seconds."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return _as_json(int(value) if value == value.to_integral_value() else float(value))
        case float() if not math.isfinite(value):
            raise ValueError(f"is no finite number (got {value})")
        case bytes():
            raise ValueError(f"is {len(value)} bytes, which no column can hold")
        case dict():
            return {str(key): _as_json(each) for key, each in value.items()}
        case list() | tuple():
            return [_as_json(each) for each in value]
    return value


def _wrong(file: Path, number: int, what: str) -> UsageError:
    unit = "row" if file.suffix.lower() == ".parquet" else "line"
    return UsageError(f"{file} {unit} {number}: {scrubbed(what)}.")


_READERS: dict[str, Callable[[Path, str], Iterator[Line]]] = {".jsonl": _read_jsonl, ".csv": _read_csv}
TEXT_SUFFIXES = (".txt", *_READERS)
LIST_SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
