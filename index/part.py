"""A part: one FAISS file of rows of one kind whose ids are positions, and beside it what each stands for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from core.errors import SnapshotError
from core.shard import Shard
from core.store import Store
from core.types import Float32Array, IntArray, Kind
from index import faissfile, mapped, named
from index.faissfile import FAISS, reason

ROW = np.dtype([("source", "<i4"), ("shard", "<i4"), ("start", "<f8"), ("end", "<f8"), ("row", "<i8")])
MOST_DEAD = 0.2  # share of a part that is kept, or of a shard
Bits = NDArray[np.uint8]  # one bit a row, the lowest first: what FAISS takes as a selector

# The columns of runs in a description, as Run has them.
_OF_RUN = {"source": str, "layer": str, "shard": int, "line": int, "first": int, "count": int}
_BY_QUERY = 3  # else FAISS looks into given lists for one query after the other, on one core


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one source and layer that follow each other in a shard."""

    source: str
    layer: str
    shard: str
    line: int  # of the shard's sources
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class About:
    """What has to be known to open a part."""

    name: str
    kind: Kind
    dim: int
    rows: int
    shards: tuple[str, ...]
    files: Mapping[str, Mapping[str, Any]]
    trained: str = ""  # what it is a copy of; "" for a flat one
    lossy: bool = False  # its scores are not those of the stored vectors

    @classmethod
    def read(cls, name: str, held: Mapping[str, Any]) -> About:
        """From a part's own JSON or from what a snapshot holds of it."""
        shards, trained, lossy = tuple(held["shards"]), held.get("trained", ""), held.get("lossy", False)
        return cls(name, held["kind"], held["dim"], held["rows"], shards, held["files"], trained, lossy)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "dim": self.dim,
            "rows": self.rows,
            "shards": list(self.shards),
            "files": {name: dict(held) for name, held in self.files.items()},
            **of_training(self.trained, self.lossy),
        }


def of_training(trained: str, lossy: bool) -> dict[str, Any]:
    """The keys of a part that is a copy of a trained index."""
    return {"trained": trained, "lossy": lossy} if trained else {}


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries as all parts of one training take them, and the lists to look into for each."""

    vectors: Float32Array
    lists: IntArray | None = None  # [queries, lists]
    near: Float32Array | None = None  # how near each list is

    def one(self, number: int) -> Queries:
        """One of the queries."""
        own = slice(number, number + 1)
        if self.lists is None or self.near is None:
            return Queries(self.vectors[own])
        return Queries(self.vectors[own], self.lists[own], self.near[own])


@dataclass(frozen=True)
class Part:
    """A part that is open: mapped, and let go with the last reference to it."""

    about: About
    index: Any  # the very object FAISS gave: what a downcast returns does not keep its owner alive
    rows: np.ndarray[Any, Any]  # of dtype ROW
    shards: Path
    _stored: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict, repr=False, compare=False)
    _lie_apart: dict[int, bool] = field(default_factory=dict, repr=False, compare=False)
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path, about: About) -> Part:
        """Map a part, or SnapshotError: FAISS has no checksums, so sizes and ends are compared before."""
        faiss_path, rows_path = folder / f"{about.name}.faiss", folder / f"{about.name}.rows.npy"
        mapped.require(faiss_path, about.files.get(faiss_path.name))
        rows = mapped.open_npy(rows_path, ROW, about.files.get(rows_path.name))
        index = faissfile.read(faiss_path)
        lists = faissfile.lists_of(index)
        if lists is not None:
            lists.parallel_mode = _BY_QUERY
        found = (index.d, index.ntotal, len(rows), index.metric_type)
        if found != (about.dim, about.rows, about.rows, faiss.METRIC_INNER_PRODUCT):
            raise SnapshotError(f"{faiss_path} does not hold the {about.rows} rows its manifest names.")
        faissfile.require_sound(index, faiss_path, about.trained)
        return cls(about, index, rows, folder.parent / "shards")

    def damaged(self) -> SnapshotError:
        """What to raise where a row stands for nothing: only its ends are looked at when it is opened."""
        return SnapshotError(f"{self.about.name}.rows.npy is damaged: a row stands for nothing.")

    @cached_property
    def _lists(self) -> Any:
        """The index of inverted lists within, if there is one."""
        return faissfile.lists_of(self.index)

    @cached_property
    def _list_of(self) -> NDArray[np.unsignedinteger[Any]]:
        """The list that each row is in."""
        held, narrowest = self._lists.invlists, np.min_scalar_type(self.list_count)
        found = np.zeros(self.about.rows, narrowest)
        for number in range(self.list_count):
            if size := held.list_size(number):
                ids = FAISS.rev_swig_ptr(held.get_ids(number), size)
                if ids.min() < 0 or ids.max() >= self.about.rows:
                    raise self._misfiled()
                found[ids] = number
        return found

    def warm(self) -> None:
        """Read what the first search under a filter would wait for: 25 ms for a million rows."""
        if self._lists is not None:
            with self._making, suppress(SnapshotError):  # whoever filters is told
                _ = self._list_of

    def lists_of(self, positions: IntArray) -> NDArray[np.unsignedinteger[Any]]:
        """The list that each of some rows is in."""
        with self._making:  # or threads that search first would each read all ids
            return self._list_of[positions]

    def rows_in_lists(self, rows: IntArray | NDArray[np.bool_]) -> IntArray:
        """How many of some rows each list holds."""
        with self._making:
            of_rows = self._list_of
        found: IntArray = np.bincount(of_rows[rows], minlength=self.list_count)
        return found

    def _misfiled(self) -> SnapshotError:
        return SnapshotError(f"{self.about.name}.faiss is damaged: a list holds a row that is not there.")

    @property
    def list_count(self) -> int:
        """How many lists there are to look into; 0 where it has none."""
        return 0 if self._lists is None else int(self._lists.nlist)

    def asked(self, queries: Float32Array, lists: int, among: NDArray[np.bool_] | None = None) -> Queries:
        """What all parts of the same training search with: the coarse search is made once for them.

        among: the lists to choose from, if not all.
        """
        if self._lists is None:
            return Queries(queries)
        with self._searching():
            return self._near(queries, lists, among)

    def _near(self, queries: Float32Array, lists: int, among: NDArray[np.bool_] | None) -> Queries:
        vectors = _transformed(self.index, queries)
        if among is None:
            # With a selector FAISS scores one query as it does many: the lists must not depend on that.
            coarse, some = self._lists.quantizer, FAISS.IDSelectorAll()
        else:
            bits = np.packbits(among, bitorder="little")
            coarse, some = faissfile.centroids_of(self._lists), FAISS.IDSelectorBitmap(bits)
            lists = min(lists, int(among.sum()))
        near, found = coarse.search(vectors, lists, params=FAISS.SearchParameters(sel=some))
        return Queries(vectors, found, near)

    def best(self, asked: Queries, bits: Bits | None, scores: Float32Array, positions: IntArray) -> None:
        """Into arrays [queries, k]: the best rows whose bit is set, best first; -1 where there are no more.

        No bits: every row is looked at.
        """
        if asked.lists is None or asked.near is None:
            # A selector even where every row lives: without one FAISS scores twenty queries and more by
            # BLAS, and the last bit of a score would depend on how many were asked together.
            params = _selecting(self._all if bits is None else bits)
            with self._searching():
                self.index.search(asked.vectors, scores.shape[1], params=params, D=scores, I=positions)
            return
        count, lists = asked.lists.shape
        given = [FAISS.swig_ptr(each) for each in (asked.lists, asked.near, scores, positions)]
        with self._searching():
            self._lists.search_preassigned_c(
                count,
                FAISS.swig_ptr(asked.vectors),
                scores.shape[1],
                *given,
                False,
                _selecting(bits, lists),
            )
        # Ids are what a file says, which lie where only `index check` looks.
        if positions.max(initial=-1) >= self.about.rows:
            raise self._misfiled()

    @contextmanager
    def _searching(self) -> Iterator[None]:
        """What FAISS has read and will not search, as a transform without its matrix, told in a sentence."""
        try:
            yield
        except RuntimeError as error:
            raise SnapshotError(f"{self.about.name}.faiss cannot be searched: {reason(error)}.") from error

    @cached_property
    def _all(self) -> Bits:
        return np.full(-(-self.about.rows // 8), 255, np.uint8)

    def vectors(self, positions: IntArray, *, lie_apart: bool = False) -> Float32Array:
        """Of some rows as the store holds them, in float32. lie_apart: no others are read with them."""
        found = np.empty((len(positions), self.about.dim), np.float32)
        records = self.rows[positions]
        for number in np.unique(records["shard"]).tolist():
            mine = records["shard"] == number
            try:
                found[mine] = self._shard(number, lie_apart)[records["row"][mine]]
            except IndexError:
                raise self.damaged() from None
        return found

    def _shard(self, number: int, lie_apart: bool) -> np.ndarray[Any, Any]:
        """Mapped once, and as long as this part is: each mapping is a descriptor."""
        if number not in self._stored:
            shard = Shard(self.shards / self.about.shards[number])
            self._stored[number] = np.asarray(shard.vectors(self.about.kind))
        rows = self._stored[number]
        if self._lie_apart.get(number, False) is not lie_apart:
            mapped.expect(rows, single_pages=lie_apart)
            self._lie_apart[number] = lie_apart
        return rows


def _selecting(bits: Bits | None, lists: int = 0) -> Any:
    # Made afresh for each search of each part: FAISS writes into parameters while it searches.
    selector = {} if bits is None else {"sel": FAISS.IDSelectorBitmap(bits)}
    if lists:
        return FAISS.SearchParametersIVF(nprobe=lists, **selector)
    return FAISS.SearchParameters(**selector)


def _transformed(index: Any, queries: Float32Array) -> Float32Array:
    """As the index of lists within an index takes them."""
    if isinstance(index, faiss.IndexPreTransform):
        chain: Any = index.chain
        for number in range(chain.size()):
            queries = FAISS.downcast_VectorTransform(chain.at(number)).apply(queries)
    return queries


def read(folder: Path, name: str) -> dict[str, Any]:
    """The JSON of a part or of a file of words, or SnapshotError; its name is the hash of what it holds."""
    held = named.read(folder, name)
    if not _are_runs(held.get("runs"), held.get("shards"), held.get("rows")):
        raise SnapshotError(f"{folder / name}.json is damaged: its runs cannot be.")
    return held


def _are_runs(runs: object, shards: object, rows: object) -> bool:
    """Whether `runs_of` can read these, and they have so many rows."""
    if not isinstance(runs, dict) or not isinstance(shards, list):
        return False
    columns = [runs.get(name, 0) for name in _OF_RUN]
    for column, of in zip(columns, _OF_RUN.values(), strict=True):
        if not isinstance(column, list) or not set(map(type, column)) <= {of}:
            return False
    return (
        len({len(column) for column in columns}) == 1
        and all(isinstance(shard, str) for shard in shards)
        and all(0 <= shard < len(shards) for shard in runs["shard"])
        and min((*runs["first"], *runs["count"]), default=0) >= 0
        and sum(runs["count"]) == rows
    )


def runs_to_json(runs: Sequence[Run], shards: Mapping[str, int]) -> dict[str, Any]:
    """As a description holds them; `runs_of` reads it. shards: numbered from 0 in their order."""
    return {
        "shards": list(shards),
        "runs": {
            "source": [run.source for run in runs],
            "layer": [run.layer for run in runs],
            "shard": [shards[run.shard] for run in runs],
            "line": [run.line for run in runs],
            "first": [run.first for run in runs],
            "count": [run.count for run in runs],
        },
    }


def runs_of(held: Mapping[str, Any]) -> list[Run]:
    """The runs in a part's JSON, in the order of its rows."""
    runs, shards = held["runs"], held["shards"]
    columns = (runs[name] for name in _OF_RUN)
    return [
        Run(source, layer, shards[shard], line, first, count)
        for source, layer, shard, line, first, count in zip(*columns, strict=True)
    ]


def stored(store: Store, shard: str, kind: Kind, at: IntArray) -> Float32Array:
    """Some rows of a shard."""
    return store.shard(shard).vectors(kind)[at].astype(np.float32)


def exact(store: Store, part: Part, positions: IntArray) -> Float32Array:
    """The vectors of some rows as the store holds them, in float32."""
    return part.vectors(positions)


class Counted(Protocol):
    """What holds so many rows."""

    @property
    def count(self) -> int: ...


Piece = TypeVar("Piece", bound=Counted)


def cut(pieces: Iterable[Piece], most: int) -> Iterator[list[Piece]]:
    """In groups of at most so many rows, or of one piece."""
    group: list[Piece] = []
    rows = 0
    for piece in pieces:
        if group and rows + piece.count > most:
            yield group
            group, rows = [], 0
        group.append(piece)
        rows += piece.count
    if group:
        yield group
