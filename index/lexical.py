"""A file of words: passages of texts in an FTS5 table of SQLite, and beside it what each stands for."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np

from core import files, npy
from core.errors import SnapshotError
from core.types import IntArray
from index import mapped, named, part
from index.folders import opening
from index.part import Run
from index.recent import Recent
from index.terms import Term, tokens

FORMAT = 1
WordKind = Literal["lines", "names", "texts"]  # timed lines; titles and paths; library texts
WORD_KINDS: tuple[WordKind, ...] = ("lines", "names", "texts")
ORIGINS = ("text", "subtitles", "captions", "title", "path")  # what a hit says that it matched on
PASSAGE = np.dtype(
    [
        ("source", "<i4"),  # number of the run
        ("origin", "u1"),
        ("length", "<i4"),  # in tokens
        ("number", "<u4"),  # made of its text: tells passages of one time apart
        ("start", "<f8"),
        ("end", "<f8"),
    ]
)
SUFFIXES = ("words", "lines.npy")
# The tokenizer only cuts at the spaces that are put between tokens: SQLite's own tables of Unicode differ.
_TABLES = (
    "CREATE VIRTUAL TABLE words USING fts5(tokens, content='', columnsize=0, tokenize='ascii')",
    "CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT)",
)
_MAKING = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536"
_READING = "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON"
_MOST_S = float(1 << 40)
_HASH_BYTES = 32 << 20  # of postings in memory before they are written
_BATCH = 10_000
_RECENT = 16  # numbers a passage, of what was found for the last terms
_IDLE = 32  # connections of a snapshot, or one a file where it has more
_MATCHING = "SELECT group_concat(rowid) FROM (SELECT rowid FROM words WHERE words MATCH ?)"


@dataclass(frozen=True, slots=True)
class Passage:
    """Words of a source, said or shown in seconds [start, end); what is always true of it has 0 and 0."""

    origin: str
    text: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True, slots=True)
class About:
    """What has to be known to open a file of words."""

    name: str
    kind: WordKind
    rows: int
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, name: str, held: Mapping[str, Any]) -> About:
        """From its own JSON or from what a snapshot holds of it."""
        return cls(name, held["kind"], held["rows"], held["files"])

    def to_json(self) -> dict[str, Any]:
        files = {name: dict(held) for name, held in self.files.items()}
        return {"name": self.name, "kind": self.kind, "rows": self.rows, "files": files}


@dataclass(frozen=True)
class Words:
    """A file of words that is open; its connections end with the last reference to it."""

    about: About
    rows: np.ndarray[Any, Any]  # of dtype PASSAGE
    path: Path
    _lent: _Connections = field(repr=False)
    _recent: Recent[Term, IntArray] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, about: About, beside: int = 1) -> Words:
        """Map it, or SnapshotError. SQLite opens it at the first question. beside: files of its snapshot."""
        path, rows_path = folder / f"{about.name}.words", folder / f"{about.name}.lines.npy"
        mapped.require(path, about.files.get(path.name))
        rows = mapped.open_npy(rows_path, PASSAGE, about.files.get(rows_path.name))
        if len(rows) != about.rows or about.kind not in WORD_KINDS:
            raise SnapshotError(f"{rows_path} does not hold the {about.rows} passages its manifest names.")
        lent = _Connections(path, max(1, _IDLE // max(1, beside)))
        words = cls(about, rows, path, lent, Recent(_RECENT * about.rows, _weight))
        weakref.finalize(words, lent.close)
        return words

    def matching(self, term: Term) -> IntArray:
        """The passages that have a term, in order."""
        found = self._recent.get(term)
        if found is None:
            found = self._matching(term)
            self._recent.put(term, found)
        return found

    def _matching(self, term: Term) -> IntArray:
        with self._asked() as connection:
            # In one step: between two, every other thread of this process may want to run.
            (found,) = connection.execute(_MATCHING, (_spelled(term),)).fetchone()
        rows = np.fromstring(found or "", np.int64, sep=",")
        if len(rows) and not (rows[0] >= 0 and rows[-1] < len(self.rows) and (np.diff(rows) > 0).all()):
            raise SnapshotError(f"{self.path} is damaged: it names passages that are not there.")
        return rows

    def records(self, rows: IntArray) -> np.ndarray[Any, Any]:
        """What is known of passages, their seconds among it."""
        found = self.rows[rows]
        for name in ("start", "end"):
            if not (np.abs(found[name]) < _MOST_S).all():  # nor is what is no number at all
                path = self.path.with_name(f"{self.about.name}.lines.npy")
                raise SnapshotError(f"{path} is damaged: it names seconds that no video has.")
        return found

    def text(self, row: int) -> str:
        """A passage as it stands."""
        with self._asked() as connection:
            found = connection.execute("SELECT text FROM texts WHERE id = ?", (int(row),)).fetchone()
        if found is None or not isinstance(found[0], str):
            raise SnapshotError(f"{self.path} is damaged: it has not the text of passage {row}.")
        return found[0]

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection]:
        try:
            with opening(self.path), self._lent.lent() as connection:
                yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise SnapshotError(f"{self.path} cannot be read: SQLite says {error}.") from error


class _Connections:
    """To one file, each lent to one thread at a time; no more are kept than a few that wait."""

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        connection = self._waiting() or self._new()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if is_kept := len(self._idle) < self._most:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def _waiting(self) -> sqlite3.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # not looked at first: other threads take them as well
            return None

    def _new(self) -> sqlite3.Connection:
        # Nobody changes it, so there is nothing to lock, and a folder that cannot be written to will do.
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        try:
            connection.executescript(_READING)
            held = connection.execute("SELECT sql FROM sqlite_master WHERE name IN ('words', 'texts')")
            if sorted(sql for (sql,) in held) != sorted(_TABLES):
                raise sqlite3.DatabaseError("that it has other tables than were written")
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        while (connection := self._waiting()) is not None:
            connection.close()


def _weight(term: Term, found: IntArray) -> int:
    return len(found) + 1


def _spelled(term: Term) -> str:
    """As FTS5 reads it. Tokens are letters, digits and marks only, so nothing in them is of its language."""
    return f'"{" ".join(term.tokens)}"' + (" *" if term.is_prefix else "")


def make(parts: Path, kind: WordKind, runs: Sequence[Run], passages: Iterable[Sequence[Passage]]) -> About:
    """A new file with the passages of each run; it is there, whole and synced, once its JSON has its name."""
    shards = {name: number for number, name in enumerate(sorted({run.shard for run in runs}))}
    with named.draft(parts) as draft:
        with files.writing(draft):
            try:
                records = _write(draft / "words", passages)
            except sqlite3.Error as error:
                raise SnapshotError(f"{parts} cannot be written to: SQLite says {error}.") from error
            npy.write(draft / "lines.npy", [records])
        held = {"format": FORMAT, "kind": kind, "rows": len(records), **part.runs_to_json(runs, shards)}
        return About.read(*named.settle(parts, draft, held, SUFFIXES))


def _write(path: Path, passages: Iterable[Sequence[Passage]]) -> np.ndarray[Any, Any]:
    numbered = ((number, passage) for number, of_run in enumerate(passages) for passage in of_run)
    records = [np.empty(0, PASSAGE)]
    first = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_MAKING)
        for table in _TABLES:
            connection.execute(table)
        connection.execute("INSERT INTO words(words, rank) VALUES('hashsize', ?)", (_HASH_BYTES,))
        connection.execute("BEGIN")
        while batch := list(islice(numbered, _BATCH)):
            records.append(_add(connection, first, batch))
            first += len(batch)
        connection.execute("INSERT INTO words(words) VALUES('optimize')")
        connection.execute("COMMIT")
    return np.concatenate(records)


def _add(
    connection: sqlite3.Connection, first: int, batch: Sequence[tuple[int, Passage]]
) -> np.ndarray[Any, Any]:
    cut = [tokens(passage.text) for _, passage in batch]
    connection.executemany(
        "INSERT INTO words(rowid, tokens) VALUES(?, ?)", enumerate(map(" ".join, cut), first)
    )
    texts = ((row, passage.text) for row, (_, passage) in enumerate(batch, first))
    connection.executemany("INSERT INTO texts VALUES(?, ?)", texts)
    values = [
        (number, ORIGINS.index(p.origin), len(found), crc32(p.text.encode()), p.start, p.end)
        for (number, p), found in zip(batch, cut, strict=True)
    ]
    return np.array(values, PASSAGE)


def runs_of(folder: Path, about: About) -> list[Run]:
    """The runs that a file of words has, in the order of its passages, or SnapshotError."""
    return part.runs_of(part.read(folder, about.name))
