"""Videos with places, facts and columns of all kinds, and plain Python that says what a filter keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.log import Task
from core.query import Condition, Value, Where
from core.store import Store
from core.types import Facts, Float32Array, Kind, Place, Segment, Source, canonical
from core.writer import Writer
from tests.index.worlds import Answer, Rows, given, make, source_id

KINDS: dict[str, str] = {  # of each column's values
    **{"root": "text", "path": "text", "name": "text", "codec": "text", "created": "date"},
    **{"seconds": "number", "width": "number", "height": "number", "size": "number"},
    **{"start": "number", "end": "number"},
    **{"metadata.tags": "text", "metadata.year": "number", "metadata.stars": "number"},
    **{
        "metadata.seen": "boolean",
        "metadata.any": "text",
        "metadata.zip": "digits",
        "metadata.big": "number",
    },
}
DAYS = ("2026-03-01", "2026-03-01T12:00:00.5Z", "2026-03-02 01:00:00+0200", "2025-12-31T23:59:59Z")
ANY: tuple[Any, ...] = ("x", 3, True, 2.5, {"b": [1]}, [1, "x", None], ["ä"], [], "3")


@dataclass(frozen=True)
class Film:
    """A source as it was put in."""

    id: str
    places: tuple[Place, ...]
    facts: Facts
    columns: dict[str, Any]
    rows: dict[Kind, Rows]

    def values(self, column: str, row: Segment) -> list[Any]:
        """What a condition looks at; nothing where nothing is known."""
        if column in ("start", "end"):
            return [getattr(row, column)]
        if column.startswith("metadata."):
            found = self.columns.get(column.removeprefix("metadata."))
            several = found if isinstance(found, list) else [found]
            return [each for each in several if each is not None]
        if column in ("root", "path", "name"):
            shown = [place.shown for place in self.places]
            cut = {"root": slice(1), "path": slice(None), "name": slice(-1, None)}[column]
            return ["/".join(each.split("/")[cut]) for each in shown]
        value = getattr(self.facts, column)
        return [value] if value else []


def is_kept(where: Where | Condition, film: Film, row: Segment) -> bool:
    """Whether one row passes, by the words of docs/http-api.md."""
    if isinstance(where, Where):
        return (
            all(is_kept(each, film, row) for each in where.must)
            and (not where.should or any(is_kept(each, film, row) for each in where.should))
            and not any(is_kept(each, film, row) for each in where.must_not)
        )
    kind = KINDS[where.column]
    values, tests = film.values(where.column, row), dict(where.tests)
    exists = tests.pop("exists", None)
    is_there = exists is None or bool(values) == exists
    is_found = any(all(_passes(kind, value, *test) for test in tests.items()) for value in values)
    return is_there and (is_found or not tests)


def _passes(kind: str, value: Any, test: str, asked: Any) -> bool:
    if test == "in":
        return any(_passes(kind, value, "eq", each) for each in asked)
    if kind == "digits" and not isinstance(asked, str):
        value = float(value)
    elif kind == "date":
        value, asked = _moment(value), _moment(asked)
    elif kind in ("text", "digits") and not isinstance(value, str):
        value = canonical(value)
    compare: dict[str, Callable[[], bool]] = {
        "eq": lambda: bool(value == asked),
        "gte": lambda: bool(value >= asked),
        "lte": lambda: bool(value <= asked),
        "prefix": lambda: str(value).startswith(asked),
    }
    return compare[test]()


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Shelves:
    """A store of such videos, and the truth. No dataclass: hypothesis would print it whole."""

    def __init__(self, store: Store, chance: np.random.Generator) -> None:
        self.store, self.chance = store, chance
        self.films: list[Film] = []

    @classmethod
    def filled(cls, root: Path, count: int = 60, commits: int = 4, seed: int = 0) -> Shelves:
        shelves = cls(make(root), np.random.default_rng(seed))
        for _ in range(commits):
            shelves.add(count // commits)
        return shelves

    def add(self, count: int) -> None:
        writer, since = Writer(self.store), self.store.log.last().number
        for _ in range(count):
            film = self._film(len(self.films))
            self.films.append(film)
            first, *copies = film.places
            told = json.dumps(film.columns) if film.columns else None
            writer.add(Task(first, since), Source(film.id), given(film.rows), film.facts, columns=told)
            for place in copies:
                writer.seen(Task(place, since), film.id, columns=told)
        writer.commit()

    def tag(self, film: Film, columns: dict[str, Any]) -> None:
        """Other columns of a video that is known."""
        writer, since = Writer(self.store), self.store.log.last().number
        writer.seen(Task(film.places[0], since), film.id, columns=json.dumps(columns))
        writer.commit()

    def _film(self, number: int) -> Film:
        id, count = source_id(number), int(self.chance.integers(1, 8))
        frames = [Segment(id, float(i), float(i + 1)) for i in range(count)]
        vectors = (self.chance.integers(-3, 4, (count, 8)) / 8).astype(np.float32)
        return Film(id, self._places(number), self._facts(), self._columns(), {"frame": (frames, vectors)})

    def _places(self, number: int) -> tuple[Place, ...]:
        folders, roots = (b"a/", b"a b/", b"", b"\xff\xc3\xa9/"), ("films", "filme", "x")
        return tuple(
            Place(self._one(roots), self._one(folders) + b"v%d-%d.mp4" % (number, copy), "1")
            for copy in range(int(self.chance.integers(1, 4)))
        )

    def _facts(self) -> Facts:
        return Facts(
            size=int(self.chance.integers(0, 5)) * 1000,
            seconds=float(self.chance.integers(0, 9)) / 2,
            width=self._one((0, 320, 1920)),
            height=self._one((0, 240, 1080)),
            codec=self._one(("", "h264", "hevc", "av1")),
            created=self._one(("", *DAYS)),
        )

    def _columns(self) -> dict[str, Any]:
        possible = {
            "tags": [t for t in ("opera", "live", "über") if self.chance.random() < 0.4],
            "year": int(self.chance.integers(1998, 2004)),
            "stars": self._one((1, 2, 2.5, 4.75)),
            "seen": bool(self.chance.integers(0, 2)),
            "any": self._one(ANY),
            "zip": self._one(("007", "7", "10.50", "-3")),
            "big": self._one((2**53, 2**53 + 1, -(2**63), 2**63 - 1)),
        }
        return {name: value for name, value in possible.items() if self.chance.random() < 0.8}

    def _one(self, several: tuple[Any, ...]) -> Any:
        return several[int(self.chance.integers(0, len(several)))]

    def rows(self, where: Where) -> Iterator[tuple[Segment, Float32Array]]:
        """The rows that a filter keeps."""
        for film in self.films:
            for row, vector in zip(*film.rows["frame"], strict=True):
                if is_kept(where, film, row):
                    yield row, vector

    def best(self, where: Where, query: Float32Array, k: int) -> Answer:
        """What a search under a filter must answer."""
        found = [(float(v @ query), r.source, r.start, r.end) for r, v in self.rows(where)]
        return sorted(found, key=lambda row: (-row[0], *row[1:]))[:k]

    def seen_in(self, column: str) -> list[Value]:
        """Values that the column has somewhere, as a test names them."""
        found = [
            value
            for film in self.films
            for row in film.rows["frame"][0]
            for value in film.values(column, row)
        ]
        if KINDS[column] == "text":
            found = [value if isinstance(value, str) else canonical(value) for value in found]
        return sorted(set(found), key=repr)
