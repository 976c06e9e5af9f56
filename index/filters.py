"""A filter → a bit for each row: conditions on sources spread by their runs, those on rows beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.commands import nearest
from core.errors import UsageError
from core.query import Condition, Test, Value, Where
from index.columns import METADATA, Column, Columns, Type, instant
from index.recent import Recent

RECENT = 16  # filters of which the bits are kept: those of a million rows or passages are 128 KiB
TIMES = ("start", "end")  # of a row itself
_SHOWN = 20  # columns in a sentence

Mask = NDArray[np.bool_]
Rows = TypeVar("Rows", bound="OfSources")
Of = Callable[[Condition | Where], Mask]

_TAKES: dict[Type, tuple[Test, ...]] = {
    "text": ("eq", "in", "gte", "lte", "prefix", "exists"),
    "number": ("eq", "in", "gte", "lte", "exists"),
    "date": ("eq", "in", "gte", "lte", "exists"),
    "boolean": ("eq", "in", "exists"),
}
_MUST_BE: dict[Type, str] = {
    "text": "a string",
    "number": "a number",
    "date": "a date as 2026-03-01 or 2026-03-01T12:00:00Z",
    "boolean": "true or false",
}


class HasRows(Protocol):
    """An array of rows with a `start` and an `end` each."""

    @property
    def rows(self) -> np.ndarray[Any, Any]: ...


class OfSources(Protocol):
    """Rows of sources, as a snapshot sees them: a LivePart is one."""

    @property
    def part(self) -> HasRows: ...

    def spread(self, of_sources: Mask) -> Mask:
        """What holds of each source as what holds of each row."""
        ...


class Narrowed:
    """The rows that one filter keeps, of each kind when they are asked for first. Thread-safe."""

    def __init__(self, where: Where, columns: Columns) -> None:
        """UsageError says at once what is wrong."""
        sieve = _Sieve(columns)
        sieve.check(where)
        self._where, self._columns = where, columns
        # Of a filter of rows there may be many masks of sources; of none of those one stands for the whole.
        self._sources = None if is_of_rows(where) else sieve.sources(where)
        self._held: dict[str, Sequence[OfSources]] = {}

    def of(self, kind: str, rows: Sequence[Rows], narrow: Callable[[Rows, Mask], Rows]) -> list[Rows]:
        """All rows of a kind, the same ones at each call, narrowed to those that are kept."""
        if kind not in self._held:
            self._held[kind] = [narrow(each, mask) for each, mask in zip(rows, self.masks(rows), strict=True)]
        return cast("list[Rows]", self._held[kind])

    def masks(self, rows: Iterable[OfSources]) -> Iterator[Mask]:
        """Which of these rows are kept."""
        if (kept := self._sources) is not None:
            return (each.spread(kept) for each in rows)
        sieve = _Sieve(self._columns)
        return (sieve.rows(self._where, each) for each in rows)


class _Sieve:
    """What one filter keeps of a snapshot's sources, and of the rows of its parts."""

    def __init__(self, columns: Columns) -> None:
        self._columns, self._count = columns, len(columns.sources)
        self._masks: dict[int, Mask] = {}  # by the node's id: one place's True is another one's 1

    def check(self, where: Where) -> None:
        """Refuse what is wrong anywhere, also where no row would be asked."""
        for child in _children(where):
            if isinstance(child, Where):
                self.check(child)
            elif child.column in TIMES:
                _tests(child, "number")
            else:
                self.sources(child)

    def sources(self, node: Condition | Where) -> Mask:
        """A boolean a source."""
        if id(node) not in self._masks:
            self._masks[id(node)] = (
                _joined(node, self.sources, self._count)
                if isinstance(node, Where)
                else _matching(_column(self._columns, node), node, self._count)
            )
        return self._masks[id(node)]

    def rows(self, node: Condition | Where, part: OfSources) -> Mask:
        """A boolean a row."""
        if not is_of_rows(node):
            return part.spread(self.sources(node))
        if isinstance(node, Where):
            return _joined(node, lambda child: self.rows(child, part), len(part.part.rows))
        return _passing(part.part.rows[node.column], _tests(node, "number"))


def _children(where: Where) -> Iterator[Condition | Where]:
    yield from (*where.must, *where.should, *where.must_not)


Kept = Recent[str, Narrowed]


def kept(most: int = RECENT) -> Kept:
    """By what is written in them."""
    return Recent(most)


def narrowed(where: Where, columns: Columns, recent: Kept) -> Narrowed:
    """What was kept of that filter, else a new one; UsageError says at once what is wrong."""
    key = repr(where)  # by what is written: True and 1 are one key of a dictionary, and no one value
    found = recent.get(key)
    if found is None:
        found = Narrowed(where, columns)  # two threads may both make it
        recent.put(key, found)
    return found


def is_of_rows(node: Condition | Where) -> bool:
    """Whether it asks for the seconds of rows themselves."""
    return any(map(is_of_rows, _children(node))) if isinstance(node, Where) else node.column in TIMES


def _joined(where: Where, of: Of, count: int) -> Mask:
    kept = np.ones(count, np.bool_)
    for child in where.must:
        kept &= of(child)
    if where.should:
        kept &= np.logical_or.reduce([of(child) for child in where.should])
    for child in where.must_not:
        kept &= ~of(child)
    return kept


def _matching(column: Column, condition: Condition, count: int) -> Mask:
    """The sources of which one value passes all tests."""
    if column.type == "text" and any(_is_number(value) for value in _asked_with(condition)):
        column = column.as_numbers or column
    tests = _tests(condition, column.type)
    exists = tests.pop("exists", None)
    kept = _of_lines(column.lines[_passed(column, tests)] if tests else column.lines, count)
    if exists is False:
        kept = ~kept if not tests else np.zeros(count, np.bool_)
    return kept


def _of_lines(lines: NDArray[np.int32], count: int) -> Mask:
    found = np.zeros(count, np.bool_)
    found[lines] = True
    return found


def _passed(column: Column, tests: Mapping[Test, Any]) -> Mask:
    if column.type != "text":
        values = column.values.cast(pa.int64()) if column.type == "date" else column.values
        return _passing(values.to_numpy(zero_copy_only=False), tests)
    passed = np.ones(len(column.lines), np.bool_)
    for test, value in tests.items():
        passed &= _OF_TEXT[test](column.values, value).to_numpy(zero_copy_only=False)
    return passed


def _passing(values: np.ndarray[Any, Any], tests: Mapping[Test, Any]) -> Mask:
    passed = np.ones(len(values), np.bool_)
    for test, value in tests.items():
        passed &= _OF_NUMBERS[test](values, value)
    return passed


def _is_one_of(values: np.ndarray[Any, Any], wanted: Sequence[float]) -> Mask:
    """Integers among integers by all their digits, which one float beside them would cost."""
    integers = [value for value in wanted if isinstance(value, int)]
    others = [value for value in wanted if not isinstance(value, int)]
    return np.isin(values, integers) | np.isin(values, others)


_OF_TEXT: dict[Test, Callable[[pa.Array, Any], pa.Array]] = {
    "eq": lambda texts, value: pc.equal(texts, pa.scalar(value, texts.type)),
    "in": lambda texts, values: pc.is_in(texts, value_set=pa.array(values, texts.type)),
    "gte": lambda texts, value: pc.greater_equal(texts, pa.scalar(value, texts.type)),
    "lte": lambda texts, value: pc.less_equal(texts, pa.scalar(value, texts.type)),
    "prefix": lambda texts, value: pc.starts_with(texts, pattern=value),
}
_OF_NUMBERS: dict[Test, Callable[[np.ndarray[Any, Any], Any], Mask]] = {
    "eq": np.equal,
    "in": _is_one_of,
    "gte": np.greater_equal,
    "lte": np.less_equal,
    "exists": lambda values, is_there: np.full(len(values), is_there),
}


def _tests(condition: Condition, type: Type) -> dict[Test, Any]:
    """The tests, with values as the column has them, or UsageError."""
    found: dict[Test, Any] = {}
    for test, value in condition.tests:
        at = _at(condition, test)
        if test not in _TAKES[type]:
            takes = ", ".join(_TAKES[type])
            raise UsageError(f"{at}: {condition.column} is a {type}, and a {type} takes {takes}.", at)
        if test == "exists":
            found[test] = value
        elif isinstance(value, tuple):
            found[test] = [_as(type, each, condition, f"{at}[{i}]") for i, each in enumerate(value)]
        else:
            found[test] = _as(type, value, condition, at)
    return found


def _at(condition: Condition, test: Test) -> str:
    at = condition.at or condition.column
    return at if condition.is_short else f"{at}.{test}"


def _as(type: Type, value: Value, condition: Condition, at: str) -> Value:
    fitting: Value | None = None
    if type == "date" and isinstance(value, str):
        fitting = instant(value)
    elif _is_number(value) if type == "number" else isinstance(value, bool if type == "boolean" else str):
        fitting = value
    if fitting is None:
        shown = repr(value)[:60]
        column = f"{condition.column} is a {type}"
        raise UsageError(f"{at}: {column}, so this must be {_MUST_BE[type]} (got {shown}).", at)
    return fitting


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _asked_with(condition: Condition) -> Iterator[Value]:
    for _, value in condition.tests:
        yield from value if isinstance(value, tuple) else (value,)


def _column(columns: Columns, condition: Condition) -> Column:
    found = columns.get(condition.column)
    if found is not None:
        return found
    at, known = condition.at or condition.column, [*columns.names, *TIMES]
    own = METADATA + condition.column
    hint = f"; did you mean {own!r}?" if own in known else nearest(condition.column, known)
    shown = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
    raise UsageError(f"{at} is no column here; there are {shown}{hint}", at)
