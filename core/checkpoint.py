"""All last words up to an entry in one file, read as sorted arrays: 10 million places in 0.4 GB."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core import files
from core.errors import StoreError
from core.rules import EMBEDDED, LastWords, PlaceVerb, Said, SourceVerb, Winner, Word, key_of
from core.sidecars import seen_of, sidecars_from_json, sidecars_to_json
from core.types import IntArray, canonical

UInt64Array = NDArray[np.uint64]
BoolArray = NDArray[np.bool_]
T = TypeVar("T")

VERBS = ("done", "failed", "skipped", "gone", "removed", "restored")
WHYS = ("", "not_video", "still")
SUFFIX = ".checkpoint.parquet"
GROUP_ROWS = 32_768
PLACES, SOURCES, WINNERS = range(3)
# One schema for three sections, each in row groups of its own: places by key, words about sources,
# winners by key. What a section does not have is null, which parquet stores in no bytes.
SCHEMA = pa.schema(
    [
        ("key", pa.uint64()),  # of the place; elsewhere of the source
        ("entry", pa.uint32()),
        ("verb", pa.uint8()),  # a line of VERBS
        ("why", pa.uint8()),  # skipped: a line of WHYS
        ("stamp_key", pa.uint64()),
        ("source_key", pa.uint64()),
        ("shard_line", pa.uint32()),
        ("layer_line", pa.uint32()),
        ("root", pa.string()),
        ("path", pa.binary()),
        ("stamp", pa.string()),
        ("source", pa.string()),
        ("error", pa.string()),
        ("columns", pa.string()),
        ("sidecars", pa.string()),  # one JSON list, "" where there are none; absent in older files
    ]
)
_PLACE_ARRAYS = ("key", "stamp_key", "source_key", "entry", "verb", "why")
_WINNER_ARRAYS = ("key", "shard_line", "layer_line")
_KEYS = ("key", "stamp_key", "source_key")


@dataclass(frozen=True)
class Checkpoint:
    """The arrays are in memory; the rest of a word is read when it is asked for."""

    path: Path
    number: int
    has_columns: bool
    shards: tuple[str, ...]
    layers: tuple[str, ...]
    sections: tuple[tuple[int, int], ...]  # first and one past the last row group
    places: Mapping[str, NDArray[Any]]
    won_arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """Read the arrays, a row group at a time, so that no second copy of them is ever held."""
        with _reading(path) as file:
            held = json.loads(file.schema_arrow.metadata[b"cinedex"])
            sections = tuple((int(a), int(b)) for a, b in held["sections"])
            found = cls(
                path,
                number=int(held["number"]),
                has_columns=bool(held["has_columns"]),
                shards=tuple(held["shards"]),
                layers=tuple(held["layers"]),
                sections=sections,
                places=_arrays(file, sections[PLACES], _PLACE_ARRAYS),
                won_arrays=_arrays(file, sections[WINNERS], _WINNER_ARRAYS),
            )
            found._check()
        return found

    def _check(self) -> None:
        most = {"verb": len(VERBS), "why": len(WHYS)}
        won_most = {"shard_line": len(self.shards), "layer_line": len(self.layers)}
        for held, limits in ((self.places, most), (self.won_arrays, won_most)):
            if not (held["key"][:-1] <= held["key"][1:]).all():
                raise ValueError("its keys are not in order")
            for name, limit in limits.items():
                if (held[name] >= limit).any():
                    raise ValueError(f"a {name} in it is none")

    @property
    def count(self) -> int:
        """How many places it knows."""
        return len(self.places["key"])

    def lines(self, keys: UInt64Array) -> IntArray:
        """The line of each place, -1 where there is none."""
        return _find(self.places["key"], keys)

    def entry_of(self, key: int) -> int:
        """The entry of a place's last word, 0 where nothing was said of it."""
        line = int(self.lines(np.array([key], np.uint64))[0])
        return int(self.places["entry"][line]) if line >= 0 else 0

    def said(self, key: int) -> Said | None:
        """The whole last word of a place, read from its row group."""
        line = int(self.lines(np.array([key], np.uint64))[0])
        return self._said_at(line) if line >= 0 else None

    def said_of_places(self, keys: Collection[int]) -> Mapping[int, Said]:
        """The same for many, each row group read once."""
        lines = np.unique(self.lines(np.fromiter(keys, np.uint64, len(keys))))
        lines = lines[lines >= 0]
        groups = lines // GROUP_ROWS
        found: dict[int, Said] = {}
        with _reading(self.path) as file:
            for group in np.unique(groups).tolist():
                table = file.read_row_group(self.sections[PLACES][0] + group)
                rows = table.take(pa.array(lines[groups == group] % GROUP_ROWS)).to_pylist()
                found |= {row["key"]: _said(row) for row in rows}
        return found

    @cached_property
    def columns_keys(self) -> UInt64Array:
        """64 bits of each place's columns, so that those of a long list can be compared."""
        found = np.empty(self.count, np.uint64)
        with _reading(self.path) as file:
            for group in range(*self.sections[PLACES]):
                texts = file.read_row_group(group, columns=["columns"])["columns"].to_pylist()
                at = (group - self.sections[PLACES][0]) * GROUP_ROWS
                found[at : at + len(texts)] = [key_of(text) for text in texts]
        return found

    def naming(self, source: str) -> Iterator[tuple[int, Said]]:
        """The last words, with their places' keys, that say `done` and name this source."""
        named = self.places["source_key"] == np.uint64(key_of(source))
        for line in np.flatnonzero(named & (self.places["verb"] == VERBS.index("done"))):
            yield int(self.places["key"][line]), self._said_at(int(line))

    def saying(self, verb: PlaceVerb, after: int) -> Iterator[tuple[int, Said]]:
        """The last words, with their places' keys, that say this and were said after that entry."""
        asked = (self.places["verb"] == VERBS.index(verb)) & (self.places["entry"] > after)
        yield from self.said_of_places(self.places["key"][asked].tolist()).items()

    def stamped(self, stamp: str) -> Iterator[tuple[int, Said]]:
        """The last words, with their places' keys, of places with this stamp."""
        wanted, (beside, stamps) = np.uint64(key_of(stamp)), self._stamps_with_sidecars
        plain = self.places["key"][self.places["stamp_key"] == wanted]
        yield from self.said_of_places([*plain.tolist(), *beside[stamps == wanted].tolist()]).items()

    @cached_property
    def _stamps_with_sidecars(self) -> tuple[UInt64Array, UInt64Array]:
        """Places with sidecars and their stamps, as keys: their stamp_key is of more than the stamp."""
        pairs = ((key, key_of(word.stamp)) for key, word in self.with_sidecars())
        found = np.fromiter(chain.from_iterable(pairs), np.uint64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _said_at(self, line: int) -> Said:
        group, offset = divmod(line, GROUP_ROWS)
        with _reading(self.path) as file:
            table = file.read_row_group(self.sections[PLACES][0] + group)
            return _said(table.slice(offset, 1).to_pylist()[0])

    def all_said(self) -> Iterator[tuple[int, Said]]:
        """Every place's last word, by its key."""
        return self._rows(PLACES, lambda row: (int(row["key"]), _said(row)))

    def done_sources(self, without: Collection[int]) -> set[str]:
        """The sources of all places that are done, but for these places."""
        other = np.fromiter(without, np.uint64, len(without))
        kept = (self.places["verb"] == VERBS.index("done")) & ~np.isin(self.places["key"], other)
        with _reading(self.path) as file:
            table = file.read_row_groups(range(*self.sections[PLACES]), columns=["source"])
            return set(table["source"].filter(pa.array(kept)).unique().to_pylist())

    def with_sidecars(self) -> Iterator[tuple[int, Word]]:
        """The last words, with their places' keys, that name sidecars: of them stamp, source and those."""
        with _reading(self.path) as file:
            if "sidecars" not in file.schema_arrow.names:
                return
            for group in range(*self.sections[PLACES]):
                table = file.read_row_group(group, columns=["key", "stamp", "source", "sidecars"])
                for row in table.filter(pc.greater(pc.binary_length(table["sidecars"]), 0)).to_pylist():
                    named = sidecars_from_json(json.loads(row["sidecars"]))
                    word = Word("done", stamp=row["stamp"], source=row["source"], sidecars=named)
                    yield int(row["key"]), word

    def source_words(self) -> Mapping[str, Said]:
        """The last word of every source that has one of its own."""
        return dict(self._rows(SOURCES, _said_of_source))

    def won(self, source: str) -> Sequence[Winner]:
        """Whose rows counted for a source, as of this checkpoint."""
        key = np.uint64(key_of(source))
        held = self.won_arrays
        first, last = (int(np.searchsorted(held["key"], key, side)) for side in ("left", "right"))
        pairs = zip(held["layer_line"][first:last], held["shard_line"][first:last], strict=True)
        return [Winner(source, self.layers[layer], self.shards[shard]) for layer, shard in pairs]

    def have_rows(self, source_keys: UInt64Array, replaced: Collection[str]) -> BoolArray:
        """For each source whether it has rows that count, but for shards replaced since."""
        keys, shards = self._embedded
        if not len(keys):
            return np.zeros(len(source_keys), np.bool_)
        counts = np.array([name not in replaced for name in self.shards], np.bool_)
        lines = _find(keys, source_keys)
        found: BoolArray = (lines >= 0) & counts[shards[lines]]
        return found

    @cached_property
    def _embedded(self) -> tuple[UInt64Array, NDArray[np.uint32]]:
        kept = np.isin(
            self.won_arrays["layer_line"], [i for i, name in enumerate(self.layers) if name in EMBEDDED]
        )
        if kept.all():
            return self.won_arrays["key"], self.won_arrays["shard_line"]
        return self.won_arrays["key"][kept], self.won_arrays["shard_line"][kept]

    def winners(self) -> Iterator[Winner]:
        """Every source and layer that has rows, and whose."""
        return self._rows(WINNERS, self._winner)

    def _winner(self, row: dict[str, Any]) -> Winner:
        return Winner(row["source"], self.layers[row["layer_line"]], self.shards[row["shard_line"]])

    def table(self, section: int) -> pa.Table:
        """One section whole: places, words about sources, or winners."""
        with _reading(self.path) as file:
            return file.read_row_groups(range(*self.sections[section])).replace_schema_metadata(None)

    def _rows(self, section: int, made_of: Callable[[dict[str, Any]], T]) -> Iterator[T]:
        with _reading(self.path) as file:
            for group in range(*self.sections[section]):
                yield from map(made_of, file.read_row_group(group).to_pylist())


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {str(error).partition(chr(10))[0]}.") from error


def _said_of_source(row: dict[str, Any]) -> tuple[str, Said]:
    word = Word(cast(SourceVerb, VERBS[row["verb"]]), source=row["source"])
    return word.source, Said(word, row["entry"])


def _arrays(file: pq.ParquetFile, groups: tuple[int, int], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    rows = sum(file.metadata.row_group(group).num_rows for group in range(*groups))
    held = {name: np.empty(rows, SCHEMA.field(name).type.to_pandas_dtype()) for name in names}
    at = 0
    for group in range(*groups):
        table = file.read_row_group(group, columns=list(names))
        for name in names:
            held[name][at : at + len(table)] = table[name].to_numpy()
        at += len(table)
    return held


def _find(held: UInt64Array, keys: UInt64Array) -> IntArray:
    if not len(held):
        return np.full(len(keys), -1, np.int64)
    at = np.minimum(np.searchsorted(held, keys), len(held) - 1)
    return np.where(held[at] == keys, at, -1).astype(np.int64)


def _said(row: dict[str, Any]) -> Said:
    word = Word(
        cast(PlaceVerb, VERBS[row["verb"]]),
        root=row["root"],
        path=row["path"],
        stamp=row["stamp"],
        source=row["source"],
        error=row["error"],
        columns=row["columns"] or None,
        sidecars=sidecars_from_json(json.loads(row.get("sidecars") or "[]")),
    )
    return Said(word, row["entry"])


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Every checkpoint with the last entry it covers, the newest last."""
    names = [name for name in files.names(folder) if name.endswith(SUFFIX) and name[0].isdigit()]
    return sorted((int(name.partition("-")[0]), folder / name) for name in names)


def newest_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """The checkpoint that covers most. Its hash is in its name; `index check --files` compares."""
    return next(reversed(checkpoints(folder)), None)


def write_checkpoint(folder: Path, known: LastWords) -> Path:
    """Write what is known as one file. Two writers of the same words write the same name."""
    tables, held = _tables(known)
    buffer = pa.BufferOutputStream()
    schema = SCHEMA.with_metadata({"cinedex": json.dumps(held)})
    plain = [field.name for field in SCHEMA if field.name not in _KEYS]
    # Hashed keys neither repeat nor compress: stored as they are, they read at the disk's speed.
    codecs = {name: "none" if name in _KEYS else "zstd" for name in SCHEMA.names}
    with pq.ParquetWriter(buffer, schema, use_dictionary=plain, compression=codecs) as writer:
        for table in tables:
            if len(table):
                writer.write_table(table.cast(schema), row_group_size=GROUP_ROWS)
    data = buffer.getvalue().to_pybytes()
    path = folder / f"{known.number:06d}-{files.hash_bytes(data)}{SUFFIX}"
    files.link_new(path, data)
    return path


def _tables(known: LastWords) -> tuple[list[pa.Table], dict[str, Any]]:
    shards: dict[str, int] = {}
    layers: dict[str, int] = {}
    places, sources = _place_table(known), _source_table(known)
    tables = [places, sources, _winner_table(known, shards, layers)]
    ends = [0]
    for table in tables:
        ends.append(ends[-1] - (-len(table) // GROUP_ROWS))
    held = {
        "number": known.number,
        "has_columns": pc.sum(pc.greater(pc.binary_length(places["columns"]), 0)).as_py() not in (0, None),
        "shards": list(shards),
        "layers": list(layers),
        "sections": list(pairwise(ends)),
    }
    return tables, held


def _place_table(known: LastWords) -> pa.Table:
    fresh = _table([_place_row(key, said) for key, said in known.fresh.items()])
    if isinstance(known.base, Checkpoint):
        keys = np.fromiter(known.fresh.keys(), np.uint64, len(known.fresh))
        kept = ~np.isin(known.base.places["key"], keys)
        held = known.base.table(PLACES).filter(pa.array(kept))  # an older file lacks columns
        fresh = pa.concat_tables([held, fresh], promote_options="default").select(SCHEMA.names)
    return fresh.sort_by("key")


def _place_row(key: int, said: Said) -> dict[str, Any]:
    word = said.word
    return {
        "key": key,
        "entry": said.entry,
        "verb": VERBS.index(word.word),
        "why": WHYS.index(word.error) if word.word == "skipped" and word.error in WHYS else 0,
        "stamp_key": key_of(seen_of(word.stamp, word.sidecars)),
        "source_key": key_of(word.source) if word.source else 0,
        "root": word.root,
        "path": word.path,
        "stamp": word.stamp,
        "source": word.source,
        "error": word.error,
        "columns": word.columns or "",
        "sidecars": canonical(sidecars_to_json(word.sidecars)) if word.sidecars else "",
    }


def _source_table(known: LastWords) -> pa.Table:
    rows = [
        {
            "key": key_of(source),
            "entry": said.entry,
            "verb": VERBS.index(said.word.word),
            "source": source,
        }
        for source, said in sorted(known.source_words().items())
    ]
    return _table(rows)


def _winner_table(known: LastWords, shards: dict[str, int], layers: dict[str, int]) -> pa.Table:
    rows = [
        {
            "key": key_of(winner.source),
            "source": winner.source,
            "shard_line": shards.setdefault(winner.shard, len(shards)),
            "layer_line": layers.setdefault(winner.layer, len(layers)),
        }
        for winner in sorted(known.winners(), key=lambda w: (w.source, w.layer))
    ]
    return _table(rows).sort_by("key")


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)
