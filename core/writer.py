"""Rows and words in; a shard and a log entry out. Nothing is true before the entry is linked."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core import __version__, files, lines, npy, thumbs
from core.compaction import carried, unsaid
from core.log import Task
from core.rules import EMBEDDED, Claim, Entry, LastWords, Word, settle
from core.shard import Shard, manifest_hash
from core.sidecars import is_sidecar, named_by
from core.store import FORMAT, Store
from core.types import (
    KINDS,
    Facts,
    Float32Array,
    Float64Array,
    Kind,
    Layer,
    Line,
    Segment,
    Source,
    Thumbs,
)

Float16Array = np.ndarray[Any, np.dtype[np.float16]]
Pair = tuple[str, Layer]
KindRows = Mapping[Kind, tuple[Sequence[Segment], Float32Array | Float16Array]]

MAX_ROWS = 65_536
MAX_SECONDS = 600.0
MAX_BYTES = 64 << 20  # of thumbnails and lines
MAX_WORDS = 100_000
MAX_SOURCES = 10_000  # a source of few rows takes more memory than these
LINE_BYTES = 256  # of a line in memory, beside its characters
NO_THUMBS = Thumbs()
_FACTS = tuple(field.name for field in fields(Facts) if field.name != "shots")
# An older shard may have been swept while the machine slept. By the wall clock: others stop then.
SHARD_GOOD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one kind: vectors, and the seconds and text each stands for."""

    vectors: Float16Array
    start: Float64Array
    end: Float64Array
    text: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Held:
    """All rows of one layer of one source, on their way to a shard."""

    source: str
    layer: Layer
    blocks: Mapping[Kind, Block]
    facts: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    lines: tuple[Line, ...] = ()
    thumbs: Thumbs = NO_THUMBS

    @property
    def pair(self) -> Pair:
        return self.source, self.layer


@dataclass(frozen=True, slots=True)
class Made:
    """A shard that has its name but that no entry names yet."""

    name: str
    manifest: str
    pairs: frozenset[Pair]
    at: float

    def serves(self, pairs: Collection[Pair]) -> bool:
        """Whether it has these rows, and is young enough to be still there."""
        return self.pairs.issuperset(pairs) and time.time() - self.at < SHARD_GOOD_SECONDS


@dataclass(frozen=True, slots=True)
class Plan:
    """What an entry would say: words, the rows it needs and how to get them, the shards it replaces."""

    words: tuple[Word, ...]
    pairs: frozenset[Pair]
    rows: Callable[[], Sequence[Held]]
    replaces: tuple[str, ...] = ()


class Writer:
    """One worker's way into a store. Rows stay in memory until `commit`."""

    def __init__(self, store: Store, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> None:
        self.store = store
        self._max_rows, self._max_seconds = max_rows, max_seconds
        self._claims: list[Claim] = []
        self._held: dict[Pair, Held] = {}
        self._rows: Counter[Kind] = Counter()
        self._bytes = 0  # of thumbnails and lines
        self._since = time.monotonic()

    def add(
        self,
        task: Task,
        source: Source,
        rows: KindRows,
        facts: Facts,
        *,
        columns: str | None = None,
        again: bool = False,
        thumbs: Thumbs = NO_THUMBS,
    ) -> None:
        """A source's rows, and that this place is done with it; its lines and its sidecars' are `tell`'s."""
        layer = "text" if "text" in rows else "visual"
        blocks = {kind: _block(source.id, *given, self.store.spec.dim) for kind, given in rows.items()}
        held = Held(source.id, layer, blocks, _stored(facts), again, thumbs=thumbs)
        self._held[held.pair] = held
        self._rows.update({kind: len(block) for kind, block in blocks.items()})
        self._bytes += sum(map(len, thumbs.tiles))
        self._say(task, "done", source=source.id, columns=columns)

    def tell(
        self,
        source: str,
        layer: Layer,
        lines: tuple[Line, ...],
        vectors: Float32Array | None = None,
        *,
        again: bool = False,
    ) -> None:
        """Timed lines of a source, by time, perhaps with a vector each: what one of its layers holds. True
        once a word is that names the source, and of a sidecar's layer the sidecar."""
        blocks: dict[Kind, Block] = {}
        if vectors is not None and len(vectors):
            segments = [Segment(source, line.start, line.end, line.text) for line in lines]
            blocks["text"] = _block(source, segments, vectors, self.store.spec.dim)
        held = Held(source, layer, blocks, again=again, lines=lines)
        self._held[held.pair] = held
        self._rows.update({"text": len(lines)} if blocks else {})
        self._bytes += sum(LINE_BYTES + len(line.text) for line in lines)

    def holds(self, source: str, layer: Layer) -> bool:
        """Whether the next commit has these rows already."""
        return (source, layer) in self._held

    def seen(self, task: Task, source: str, *, columns: str | None = None) -> None:
        """A known content at another place, or with a new stamp."""
        self._say(task, "done", source=source, columns=columns)

    def failed(self, task: Task, error: str, *, source: str = "") -> None:
        """This place cannot be embedded, and why."""
        self._say(task, "failed", source=source, error=error)

    def skipped(self, task: Task, why: str) -> None:
        """This place holds nothing to embed: "not_video" or "still"."""
        self._say(task, "skipped", error=why)

    def gone(self, task: Task) -> None:
        """This place is no more."""
        self._say(task, "gone")

    def removed(self, source: str, since: int) -> None:
        """Hide a source, wherever it turns up."""
        self._claims.append(Claim(Word("removed", source=source), since))

    def restored(self, source: str, since: int) -> None:
        """Take `removed` back."""
        self._claims.append(Claim(Word("restored", source=source), since))

    def _say(
        self,
        task: Task,
        word: Literal["done", "failed", "skipped", "gone"],
        *,
        source: str = "",
        error: str = "",
        columns: str | None = None,
    ) -> None:
        place = task.place
        # A message may hold bytes of a file name that are no text.
        clean = error.encode(errors="replace").decode()
        # What lay beside it and could not be read is to do again.
        read = tuple(sidecar for sidecar in place.sidecars if sidecar.hash) if word == "done" else ()
        said = Word(word, place.root, place.path, place.stamp, source, clean, columns, read)
        self._claims.append(Claim(said, task.since))

    @property
    def due(self) -> bool:
        """Whether the caller should commit now, between two sources."""
        most, waited = max(self._rows.values(), default=0), time.monotonic() - self._since
        is_full = most >= self._max_rows or self._bytes >= MAX_BYTES
        is_full |= len(self._claims) >= MAX_WORDS or len(self._held) >= MAX_SOURCES
        return bool(self._claims) and (is_full or waited >= self._max_seconds)

    def commit(self) -> int | None:
        """Make all of it true by one link; the entry's number, or None where nothing was left to say."""
        number = link(self.store, self._plan) if self._claims else None
        self._claims, self._held, self._since = [], {}, time.monotonic()
        self._rows.clear()
        self._bytes = 0
        # Answers come early, and shards do not stay small.
        self._max_seconds = min(2 * self._max_seconds, max(self._max_seconds, MAX_SECONDS))
        return number

    def _plan(self, known: LastWords) -> Plan | None:
        words = settle(known, self._claims, {source for source, layer in self._held if layer in EMBEDDED})
        if not words:
            return None
        held = needed(known, words, self._held.values())
        return Plan(words=tuple(words), pairs=frozenset(h.pair for h in held), rows=lambda: held)


def link(store: Store, plan_of: Callable[[LastWords], Plan | None]) -> int | None:
    """Commit what is planned as of the last entry, however often others are faster (rules 1 and 4)."""
    made: Made | None = None
    while True:
        known = store.log.last()
        plan = plan_of(known)
        if plan is None:
            return None
        if plan.pairs and not (made and made.serves(plan.pairs)):
            made = write_shard(store, plan.rows())
            if not made.serves(plan.pairs):
                continue  # it took that long: the machine slept, and the shard may have been swept
        name, manifest = (made.name, made.manifest) if made and plan.pairs else ("", "")
        pairs = tuple(sorted(plan.pairs))
        entry = Entry(known.number + 1, plan.words, name, manifest, holds=pairs, replaces=plan.replaces)
        if store.log.append(entry):
            store.log.checkpoint_if_due()
            return entry.number


def needed(known: LastWords, words: Iterable[Word], held: Iterable[Held]) -> list[Held]:
    """The rows that a word asks for and that no shard has: two workers may have done the same."""
    done = [word for word in words if word.word == "done"]
    named = {word.source for word in done}
    beside = {pair for word in done for pair in named_by(word)}
    return [
        h
        for h in held
        if (h.pair in beside if is_sidecar(h.layer) else h.source in named)
        and (h.again or not known.shard_of(*h.pair))
    ]


def _stored(facts: Facts) -> dict[str, Any]:
    """As columns; shots only where they were asked for."""
    held = {name: getattr(facts, name) for name in _FACTS}  # asdict copies each value, and that takes long
    if facts.shots:
        held["shots"] = list(facts.shots)
    return held


def halved(vectors: Float32Array | Float16Array) -> Float16Array:
    """As they are stored."""
    return vectors.astype(np.float16, copy=False)


def _block(source: str, segments: Sequence[Segment], vectors: Float32Array | Float16Array, dim: int) -> Block:
    if vectors.shape != (len(segments), dim):
        raise ValueError(f"{len(segments)} segments of {dim} numbers have vectors of {vectors.shape}")
    if any(segment.source != source for segment in segments):
        raise ValueError(f"a segment of {source} names another source")
    stored = halved(vectors)
    if not np.isfinite(stored).all():
        raise ValueError(f"vectors of {source} are not finite")
    start = np.array([segment.start for segment in segments], np.float64)
    end = np.array([segment.end for segment in segments], np.float64)
    return Block(stored, start, end, tuple(segment.text for segment in segments))


def write_shard(store: Store, held: Sequence[Held]) -> Made:
    """A new folder with these rows; it counts for nothing until an entry names it."""
    name = uuid.uuid4().hex
    path = store.root / "shards" / name
    with files.draft(path) as folder, files.writing(path):
        rows = {kind: _write_kind(folder, kind, held) for kind in KINDS}
        told = lines.write(folder, [(h.layer, h.lines) for h in held])
        tiles = thumbs.write(folder, [h.thumbs for h in held])
        pq.write_table(_sources_table(held, tiles), folder / "sources.parquet", compression="zstd")
        manifest = {
            "format": FORMAT,
            "encoder": store.spec.fingerprint,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "rows": {kind: count for kind, count in rows.items() if count},
            "lines": told,
            "files": {
                file.name: {"bytes": file.stat().st_size, "blake2b": files.hash_file(file)}
                for file in sorted(folder.iterdir())
            },
        }
        (folder / "manifest.json").write_text(files.sealed(manifest))
    return Made(name, manifest_hash(manifest), frozenset(h.pair for h in held), time.time())


def _write_kind(folder: Path, kind: Kind, held: Sequence[Held]) -> int:
    numbered = [(line, h.layer, h.blocks[kind]) for line, h in enumerate(held) if kind in h.blocks]
    if not numbered:
        return 0
    blocks = [block for _, _, block in numbered]
    npy.write(folder / f"{kind}.npy", [block.vectors for block in blocks])
    columns: dict[str, Any] = {
        "source": np.repeat([each[0] for each in numbered], [len(block) for block in blocks]).astype(
            np.int32
        ),
        "start": np.concatenate([block.start for block in blocks]),
        "end": np.concatenate([block.end for block in blocks]),
    }
    if kind == "text":
        columns["text"] = [text for block in blocks for text in block.text]
        columns["origin"] = [lines.origin_of(layer) for _, layer, block in numbered for _ in block.text]
    pq.write_table(pa.table(columns), folder / f"{kind}.parquet", compression="zstd")
    return sum(len(block) for block in blocks)


def _sources_table(held: Sequence[Held], tiles: Sequence[Mapping[str, Any]]) -> pa.Table:
    rows = [
        {"id": h.source, "layer": h.layer, **h.facts}
        | {kind: len(h.blocks.get(kind, ())) for kind in KINDS}
        | {"lines": len(h.lines), **of_tiles}
        for h, of_tiles in zip(held, tiles, strict=True)
    ]
    names = dict.fromkeys(name for row in rows for name in row)  # shards of two versions may differ
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def compact(store: Store, shards: Sequence[str]) -> int | None:
    """One new shard with the rows of these that are live; its entry replaces them (rule 9)."""

    def plan_of(known: LastWords) -> Plan | None:
        ending = tuple(shard for shard in shards if shard not in known.replaced)
        pairs = frozenset(carried(known, ending))
        # Each from the shard that won it: one that lost may be among these and has other rows of it.
        won = {name: {pair for pair in pairs if known.shard_of(*pair) == name} for name in ending}
        return Plan(unsaid(known, ending), pairs, lambda: _read_won(store, won), ending) if ending else None

    return link(store, plan_of)


def _read_won(store: Store, won: Mapping[str, Collection[Pair]]) -> list[Held]:
    return [held for name, pairs in won.items() for held in read_held(store.shard(name).whole(), pairs)]


def read_held(shard: Shard, pairs: Collection[Pair]) -> list[Held]:
    """A shard's rows of these layers, as they were added."""
    wanted = {
        line: row for line, row in enumerate(shard.sources.to_pylist()) if (row["id"], row["layer"]) in pairs
    }
    blocks: dict[int, dict[Kind, Block]] = {line: {} for line in wanted}
    for kind in KINDS:
        if shard.count(kind):
            _read_kind(shard, kind, blocks)
    told = shard.lines()
    return [
        Held(
            row["id"],
            row["layer"],
            blocks[line],
            _facts(row),
            lines=tuple(told.of(line)),
            thumbs=thumbs.read(shard.path, row),
        )
        for line, row in wanted.items()
    ]


def _read_kind(shard: Shard, kind: Kind, blocks: dict[int, dict[Kind, Block]]) -> None:
    rows, vectors = shard.rows(kind), shard.vectors(kind)
    for line, mine in blocks.items():
        at = slice(*np.searchsorted(rows.source, (line, line + 1)).tolist())  # a source's rows lie together
        if at.stop > at.start:
            text = tuple(rows.text[at].to_pylist()) if rows.text is not None else ()
            mine[kind] = Block(np.asarray(vectors[at]), rows.start[at], rows.end[at], text)


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    others = ("id", "layer", "lines", *KINDS, *thumbs.COLUMNS)
    held = {name: value for name, value in row.items() if name not in others}
    if held.get("shots") is None:
        held.pop("shots", None)
    return held
