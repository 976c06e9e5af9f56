"""A snapshot: parts, which of their rows live, and the sources behind them. It answers searches."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from core import files
from core.errors import SnapshotError, UsageError
from core.files import names
from core.query import Effort, Filter, Hits, Segments
from core.shard import Shard
from core.store import Store
from core.types import KINDS, Float32Array, Float64Array, IntArray, Kind, Segment, canonical
from index import columns, filters, shape
from index import part as parts
from index.calibration import Calibrated
from index.columns import Columns
from index.exact import every_row
from index.folders import opening
from index.lexical import WordKind
from index.live import LivePart
from index.merge import best_rows
from index.ranked import Row, Rows
from index.sources import FILE, SourceInfo, Sources
from index.terms import Terms
from index.words import LiveWords, Mask, Told, best

if TYPE_CHECKING:
    from index.exact_gpu import Card

FORMAT = 1
CURRENT = "CURRENT"
MANIFEST = "snapshot.json"
Range = tuple[str, float, float]  # [start, end) of a source


@dataclass(frozen=True)
class Snapshot:
    """An immutable view of a store. What it has mapped stays until the last reference is let go."""

    store: Store
    number: int
    held: Mapping[str, Any]  # its snapshot.json
    sources: Sources
    columns: Columns
    parts: tuple[LivePart, ...]
    hidden: frozenset[int] = frozenset()  # lines of sources that are masked
    words: tuple[LiveWords, ...] = ()
    card: Card | None = None  # the GPU that its rows are on
    calibrated: Calibrated = field(default_factory=Calibrated)
    # Anew for each view, as a masked one is: its parts have other live rows.
    _recent: filters.Kept = field(default_factory=filters.kept, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, store: Store, number: int | None = None, beside: Snapshot | None = None) -> Snapshot:
        """The published snapshot or the one of that number; SnapshotError says why there is none. beside: an
        open one of the same store, whose parts are not mapped again."""
        seal = None
        if number is None:
            number, seal = published(store.root)
        folder = folder_of(store.root, number)
        held = read_manifest(folder)
        if seal is not None and manifest_seal(folder) != seal:
            raise SnapshotError(f"{folder / MANIFEST} is not the one that {store.root / CURRENT} names.")
        return cls.of(store, folder, number, held, beside)

    @classmethod
    def of(
        cls,
        store: Store,
        folder: Path,
        number: int,
        held: Mapping[str, Any],
        beside: Snapshot | None = None,
    ) -> Snapshot:
        """Map what a manifest names."""
        if held["encoder"] != store.spec.fingerprint:
            raise SnapshotError(
                f"{folder} holds vectors of the encoder {held['encoder']}, "
                f"not of {store.spec.name} ({store.spec.fingerprint})."
            )
        if any(about["dim"] != store.spec.dim for about in held["parts"]):
            raise SnapshotError(f"{folder} has a part whose rows are not of {store.spec.dim} numbers.")
        stamps = held["files"]
        known = Sources.open(folder / FILE, stamps.get(FILE))
        typed = Columns.open(folder / columns.FILE, stamps.get(columns.FILE), known)
        parts, words = store.root / "parts", held.get("words", ())
        mapped = {live.part.about.name: live.part for live in beside.parts} if beside else {}
        return cls(
            store,
            number,
            held,
            known,
            typed,
            tuple(LivePart.open(parts, folder, about, stamps, len(known), mapped) for about in held["parts"]),
            words=tuple(
                LiveWords.open(parts, folder, about, stamps, len(known), len(words)) for about in words
            ),
            calibrated=Calibrated.open(folder, store.spec.dim, held),
        )

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose vectors these are."""
        return str(self.held["encoder"])

    @cached_property
    def seal(self) -> str:
        """Tells it from another of the same number, of a store that was made anew."""
        return seal_of(self.held)

    @property
    def entry(self) -> int:
        """The last log entry this view covers."""
        return int(self.held["entry"])

    @cached_property
    def rows(self) -> dict[Kind, int]:
        """Live rows of each kind that has any."""
        counts = {kind: sum(part.live for part in self._of(kind)) for kind in KINDS}
        return {kind: count for kind, count in counts.items() if count}

    def parts_of(self, kind: Kind) -> list[LivePart]:
        """The parts that hold live rows of a kind."""
        return [part for part in self._of(kind) if part.live]

    def _of(self, kind: Kind) -> list[LivePart]:
        return [part for part in self.parts if part.about.kind == kind]

    def search(
        self,
        kind: Kind,
        vectors: Float32Array,
        k: int,
        *,
        filter: Filter | None = None,
        effort: int | None = None,
        exact: bool = False,
    ) -> list[Hits]:
        """The best k rows of each query, vectors: [n, dim]. effort: lists to look into, 0 for all."""
        queries = np.ascontiguousarray(vectors, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.store.spec.dim:
            raise UsageError(f"Queries of shape {queries.shape} do not fit [n, {self.store.spec.dim}].")
        if k < 1:
            raise UsageError(f"k is {k}; at least 1 row can be asked for.")
        searched = self.filtered(kind, filter)
        chosen = self.effort(kind)
        if effort is not None:  # of a stranger, and so of any size
            most = max((part.part.list_count for part in searched), default=0)
            chosen = replace(chosen, lists=min(effort, most))
        if self.card is not None:
            found = self.card.best_rows(searched, queries, k)  # compares with every row
        elif exact:
            found = every_row(searched, queries, k)
        else:
            found = best_rows(searched, queries, k, chosen)
        return [self._hits(rows, kind, searched) for rows in found]

    def on(self, device: str, before: Snapshot | None = None) -> Snapshot:
        """The same, searched exactly on a GPU; parts that one before had there are not copied again."""
        if device == "cpu":
            return self
        from index.exact_gpu import Card

        return replace(self, card=Card.holding(self.parts, device, before.card if before else None))

    def effort(self, kind: Kind) -> Effort:
        """How far a search looks where nobody says."""
        chosen = self.held.get("effort", {}).get(kind)
        return Effort(chosen["lists"], chosen["candidates"]) if chosen else Effort()

    def filtered(self, kind: Kind, filter: Filter | None) -> list[LivePart]:
        """All parts of a kind, with the rows alone alive that a filter keeps: in some of them none."""
        searched = self._of(kind)
        if filter is None:
            return searched
        if (where := filter.where) is not None:
            searched = filters.narrowed(where, self.columns, self._recent).of(kind, searched, LivePart.kept)
        if filter.sources is not None:
            lines = self.sources.lines(filter.sources)
            searched = [part.only(lines) for part in searched]
        if filter.hidden:
            lines = self.sources.lines(filter.hidden)
            searched = [part.without(lines) for part in searched]
        return searched

    def told(
        self, kind: WordKind, asked: Terms, k: int, *, some: bool = False, filter: Filter | None = None
    ) -> tuple[list[Told], bool]:
        """The k best passages of a kind by their words, and whether there are no others. some: those too that
        have not all of the words."""
        found = [words for words in self.words if words.about.kind == kind]
        if filter is not None and filter.where is not None:
            if kind == "names" and filters.is_of_rows(filter.where):
                return [], True  # they are of no seconds
            narrowed = filters.narrowed(filter.where, self.columns, self._recent)
            found = narrowed.of(kind, found, LiveWords.only)
        kept = self._kept_sources(filter)
        searched = found if kept is None else [words.only(words.spread(kept)) for words in found]
        return best(searched, asked, k, some, self.sources.id)

    def _kept_sources(self, filter: Filter | None) -> Mask | None:
        hidden = self.hidden | set(self.sources.lines(filter.hidden) if filter else ())
        if not hidden and (filter is None or filter.sources is None):
            return None
        kept = np.ones(len(self.sources), np.bool_)
        if filter is not None and filter.sources is not None:
            kept[:] = False
            kept[list(self.sources.lines(filter.sources))] = True
        kept[list(hidden)] = False
        return kept

    def passages(self, kind: WordKind) -> int:
        """How many live."""
        return sum(words.live for words in self.words if words.about.kind == kind)

    @np.errstate(invalid="ignore", over="ignore")  # of rows that stand for nothing
    def _hits(self, rows: Rows, kind: Kind, searched: Sequence[LivePart]) -> Hits:
        if len(wrong := rows.part[(rows.line < 0) | ~np.isfinite(rows.end - rows.start)]):
            raise searched[wrong[0]].part.damaged()
        texts = [self._text(row, searched) for row in rows] if kind == "text" else []
        names = self.sources.names(rows.line)
        return Hits(Segments(names, rows.start, rows.end, texts), rows.score, (), rows.part, rows.position)

    def _text(self, row: Row, searched: Sequence[LivePart]) -> str:
        # A library text is its source's; the rows of timed lines have texts of their own.
        record = searched[row.part].part.rows[row.position]
        return self.sources.text(row.line) or self._text_in(searched[row.part], record)

    def _text_in(self, part: LivePart, record: np.void) -> str:
        try:
            texts = _texts(self.store.shard(part.about.shards[record["shard"]]).path)
            return str(texts[int(record["row"])].as_py())
        except IndexError:
            raise part.part.damaged() from None

    def vectors(self, source: str, kind: Kind) -> tuple[Sequence[Segment], Float32Array]:
        """A stored source's rows in order of time, exactly as they are stored; none where it is unknown."""
        line = self._line(source)
        found = [(part, part.positions([line])) for part in self._of(kind)] if line >= 0 else []
        segments: list[Segment] = []
        stored: list[Float32Array] = [np.empty((0, self.store.spec.dim), np.float32)]
        for part, positions in found:
            records = part.part.rows[positions]
            if not np.isfinite(records["end"] - records["start"]).all():
                raise part.part.damaged()
            for record in records:
                text = self.sources.text(line) or self._text_in(part, record) if kind == "text" else ""
                segments.append(Segment(source, float(record["start"]), float(record["end"]), text))
            stored.append(parts.exact(self.store, part.part, positions))
        order = sorted(range(len(segments)), key=lambda i: (segments[i].start, segments[i].end))
        return [segments[i] for i in order], np.concatenate(stored)[order]

    def reaching(
        self, source: str, kind: Kind, start: float = -math.inf, end: float = math.inf
    ) -> list[tuple[LivePart, IntArray]]:
        """Which rows of a source reach into [start, end): parts, and positions in them."""
        line = self._line(source)
        found = []
        for part in self._of(kind) if line >= 0 else ():
            positions = part.positions([line])
            rows = part.part.rows[positions]
            if not np.isfinite(rows["end"] - rows["start"]).all():
                raise part.part.damaged()
            found.append((part, positions[(rows["start"] < end) & (rows["end"] > start)]))
        return [(part, positions) for part, positions in found if len(positions)]

    def at(self, number: int, position: int) -> tuple[Kind, Segment] | None:
        """The row at a position of the part of that number; None where it does not live."""
        part, positions = self.parts[number], np.array([position])
        if not part.is_live(positions)[0]:
            return None
        records, which, score = part.part.rows[positions], np.array([number]), np.zeros(1, np.float32)
        row = Rows(score, part.lines(records), records["start"], records["end"], which, positions)
        return part.about.kind, self._hits(row, part.about.kind, self.parts).segments[0]

    def within(self, kind: Kind, ranges: Sequence[Range]) -> list[tuple[Float64Array, Float32Array]]:
        """Of each range: when the rows begin that begin in it, in order of time, and their vectors."""
        lines = np.array([self._line(source) for source, _, _ in ranges], np.int64)
        found: list[list[tuple[Float64Array, Float32Array]]] = [[] for _ in ranges]
        for part in self._of(kind):
            asked = np.flatnonzero(part.have(lines)).tolist()
            at = [part.begun(int(lines[number]), *ranges[number][1:]) for number in asked]
            positions = np.concatenate([np.empty(0, np.int64), *at])
            begins = part.part.rows["start"][positions]
            vectors = parts.exact(self.store, part.part, positions)
            edges = np.cumsum([0, *map(len, at)]).tolist()
            for number, first, behind in zip(asked, edges, edges[1:], strict=False):
                found[number].append((begins[first:behind], vectors[first:behind]))
        return [self._in_order(pieces) for pieces in found]

    def _in_order(self, pieces: list[tuple[Float64Array, Float32Array]]) -> tuple[Float64Array, Float32Array]:
        begins = np.concatenate([np.empty(0), *(begins for begins, _ in pieces)])
        none = np.empty((0, self.store.spec.dim), np.float32)
        order = np.argsort(begins, kind="stable")
        return begins[order], np.concatenate([none, *(vectors for _, vectors in pieces)])[order]

    def source(self, id: str) -> SourceInfo | None:
        """What is known of a live source."""
        line = self._line(id)
        return self.sources.info(line) if line >= 0 else None

    def shard_of(self, source: str) -> Shard | None:
        """Where a video's pictures, and its thumbnails, are stored."""
        line = self._line(source)
        if line >= 0:
            for part in self.parts:
                if part.about.kind != "text" and (name := part.shard_of(line)):
                    return _shard(self.store.root, name)
        return None

    def _line(self, id: str) -> int:
        line = self.sources.find(id)
        return -1 if line in self.hidden else line

    def masked(self, sources: Collection[str]) -> Snapshot:
        """The same view less these sources: they were removed since."""
        lines = self.sources.lines(sources)
        if not lines:
            return self
        less = tuple(part.without(lines) for part in self.parts)
        return replace(self, parts=less, hidden=self.hidden | frozenset(lines))


@lru_cache(maxsize=256)
def _shard(store: Path, name: str) -> Shard:
    """One that remembers what was read of it: shards never change."""
    return Shard(store / "shards" / name)


@lru_cache(maxsize=16)
def _texts(shard: Path) -> pa.ChunkedArray:
    """The texts of a shard's rows, which never change."""
    return Shard(shard).rows("text").text


def current(root: Path) -> str | None:
    """The text of CURRENT, to compare for changes; None where nothing is published."""
    with opening(root / CURRENT):
        try:
            return (root / CURRENT).read_text(errors="replace")
        except FileNotFoundError:
            return None


def published(root: Path) -> tuple[int, str]:
    """The number that CURRENT names, and the hash of its manifest."""
    text = current(root)
    if text is None:
        raise SnapshotError(f"{root} has no published snapshot; `cinedex index build` makes one.")
    named = re.fullmatch(r"([0-9]{6,}) ([0-9a-f]{32})\n", text)
    if named is None:
        raise SnapshotError(f"{root / CURRENT} is damaged: it does not name a snapshot and its hash.")
    return int(named[1]), named[2]


def folder_of(root: Path, number: int) -> Path:
    """Where a snapshot of that number lies."""
    return root / "snapshots" / f"{number:06d}"


def numbers(root: Path) -> list[int]:
    """All snapshots that are there, published or not."""
    return sorted(int(name) for name in names(root / "snapshots") if re.fullmatch("[0-9]+", name))


def manifest_seal(folder: Path) -> str:
    """What CURRENT must hold beside the number of the snapshot in this folder."""
    with opening(folder / MANIFEST):
        return files.hash_file(folder / MANIFEST)


def seal_of(held: Mapping[str, Any]) -> str:
    """Of what a manifest holds."""
    return blake2b(canonical(held).encode(), digest_size=6).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """A snapshot's snapshot.json, or SnapshotError."""
    with opening(folder):
        is_there = folder.is_dir()
    if not is_there:
        others = ", ".join(map(str, numbers(folder.parent.parent))) or "none"
        raise SnapshotError(f"{folder} is missing; the snapshots that are there: {others}.")
    with opening(folder / MANIFEST):
        held = files.read_sealed(folder / MANIFEST)
    if held.get("format") != FORMAT:
        raise SnapshotError(f"{folder} has format {held.get('format')}; this version reads {FORMAT}.")
    shape.require_snapshot(folder / MANIFEST, held)
    return held
