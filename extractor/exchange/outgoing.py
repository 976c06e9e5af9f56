"""`cinedex export`: every live row of a store, as other tools read it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from pydantic_settings import CliPositionalArg

from core import __version__, files, npy
from core.config import Settings, run_verb
from core.errors import UsageError
from core.rules import EMBEDDED, LiveSource
from core.store import PROBES, Store
from core.types import KINDS, Facts, Kind, canonical, spec_to_json
from core.writer import Block, Held, Pair, read_held
from extractor.exchange.ours import ABOUT, FACTS, FORMAT, FORMAT_KEY
from extractor.held import held_store

Form = Literal["npy", "parquet"]
Dtype = Literal["float16", "float32"]

_ARROW = {
    **{"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_()},
    "tuple[float, ...]": pa.list_(pa.float64()),
}
_PLACE = pa.struct([("root", pa.string()), ("path", pa.binary()), ("stamp", pa.string())])
SOURCE_FIELDS = [
    ("source", pa.string()),
    ("root", pa.string()),
    ("path", pa.string()),
    ("places", pa.list_(_PLACE)),
    ("columns", pa.string()),
    *((field.name, _ARROW[str(field.type)]) for field in fields(Facts)),
]
SOURCES = pa.schema(SOURCE_FIELDS)


class ExportSettings(Settings):
    """Write all live rows of a store for other tools; `cinedex import` reads an export to npy back."""

    folder: CliPositionalArg[Path] = Field(description="where to; it must not be there, or be empty")
    to: Form = Field("npy", description="arrays with a table beside each, or tables that hold the vectors")
    kind: Kind | None = Field(None, description="only these rows; else all")
    dtype: Dtype = Field("float16", description="of the vectors; float16 is what the store holds")
    collection: str = Field("default", description="what clients call the stores of these videos")
    encoder: str | None = Field(None, description="which of the collection's stores; else the first")
    store: Path | None = Field(None, description="a store's folder, instead of one in --data")


def main(argv: list[str] | None = None) -> int:
    """`cinedex export`."""
    return run_verb(ExportSettings, export, argv, prog="cinedex export")


def export(settings: ExportSettings) -> int:
    """The folder appears whole or not at all."""
    folder = settings.folder.absolute()
    with files.reading(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{settings.folder} is there already; an export is made in a new folder.")
    _, store = held_store(settings.data, settings.store, settings.collection, settings.encoder)
    kinds = (settings.kind,) if settings.kind else KINDS
    with files.draft(folder) as draft, files.writing(folder):
        rows = write_rows(store, draft, kinds, settings.to, settings.dtype)
        if not rows:
            raise UsageError(f"{store.root} has no live {settings.kind or ''} rows.".replace("  ", " "))
        _write_about(store, draft, rows, settings.to, settings.dtype)
    counts = ", ".join(f"{count} {kind} rows" for kind, count in rows.items())
    sys.stdout.write(f"{settings.folder}: {counts} of {store.spec.name}.\n")
    return 0


# --- the rows ----------------------------------------------------------------------------------------


def write_rows(store: Store, folder: Path, kinds: Sequence[Kind], to: Form, dtype: Dtype) -> dict[Kind, int]:
    """A file or two a kind; how many rows of each. No more than one shard is in memory."""
    known = store.log.last()
    live = {source.id: source for source in known.live()}
    won: dict[str, set[Pair]] = {}
    for winner in known.winners():
        if winner.source in live and winner.layer in EMBEDDED:
            won.setdefault(winner.shard, set()).add((winner.source, winner.layer))
    with ExitStack() as stack:
        sinks: dict[Kind, _Sink] = {}
        for shard, pairs in won.items():
            held = read_held(store.shard(shard).whole(), pairs)
            for kind in kinds:
                if mine := [each for each in held if each.blocks.get(kind)]:
                    if kind not in sinks:
                        sinks[kind] = stack.enter_context(_Sink(folder, kind, to, dtype, store.spec.dim))
                    sinks[kind].write(mine, live)
        return {kind: sinks[kind].rows for kind in KINDS if kind in sinks}


class _Sink:
    """The files of one kind."""

    def __init__(self, folder: Path, kind: Kind, to: Form, dtype: Dtype, dim: int) -> None:
        self.rows = 0
        self._kind, self._to, self._dim = kind, to, dim
        self._dtype = np.dtype(dtype)
        self._stack = ExitStack()
        times = [("start", pa.float64()), ("end", pa.float64()), ("text", pa.string())]
        vector = [("vector", pa.list_(pa.from_numpy_dtype(self._dtype), dim))] if to == "parquet" else []
        self._schema = pa.schema([*SOURCE_FIELDS[:1], *times, *SOURCE_FIELDS[1:], *vector])
        self._table = self._stack.enter_context(
            pq.ParquetWriter(folder / f"{kind}.parquet", self._schema, compression="zstd")
        )
        self._array: IO[bytes] | None = None
        if to == "npy":
            self._array = self._stack.enter_context((folder / f"{kind}.npy").open("wb"))
            self._array.write(self._header())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._array:  # numpy leaves room in the header for how many rows there turn out to be
            self._array.seek(0)
            self._array.write(self._header())
        self._stack.close()

    def _header(self) -> bytes:
        return npy.header(self._dtype, (self.rows, self._dim))

    def write(self, held: Sequence[Held], live: Mapping[str, LiveSource]) -> None:
        """Rows of some sources, each source's together."""
        blocks = [each.blocks[self._kind] for each in held]
        counts = [len(block) for block in blocks]
        sources = pa.Table.from_pylist([_source(each, live[each.source]) for each in held], schema=SOURCES)
        table = sources.take(pa.array(np.repeat(np.arange(len(held)), counts)))
        columns = {name: table[name] for name in SOURCES.names}
        columns["start"] = pa.array(np.concatenate([block.start for block in blocks]))
        columns["end"] = pa.array(np.concatenate([block.end for block in blocks]))
        columns["text"] = pa.array([text for block in blocks for text in _texts(block)], pa.string())
        vectors = np.concatenate([block.vectors for block in blocks]).astype(self._dtype)
        if self._array:
            self._array.write(vectors.data)
        else:
            columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), self._dim)
        self._table.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))
        self.rows += len(vectors)


def _texts(block: Block) -> Iterable[str | None]:
    return block.text or (None,) * len(block)


def _source(held: Held, live: LiveSource) -> dict[str, Any]:
    facts = {name: held.facts.get(name) for name in FACTS}
    return {
        "source": held.source,
        "root": live.places[0].root,
        "path": live.places[0].path.decode(errors="replace"),
        "places": [asdict(place) for place in live.places],
        "columns": canonical(dict(live.columns)),
        **{name: default if facts[name] is None else facts[name] for name, default in FACTS.items()},
    }


def _write_about(store: Store, folder: Path, rows: Mapping[Kind, int], to: Form, dtype: Dtype) -> None:
    """What the vectors are of, and the hash of every file."""
    if (probes := store.probes()) is not None:
        (folder / PROBES).write_bytes(npy.encoded(probes))
    stamps = {
        path.name: {"bytes": path.stat().st_size, "blake2b": files.hash_file(path)}
        for path in sorted(folder.iterdir())
    }
    held = {
        FORMAT_KEY: FORMAT,
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder": spec_to_json(store.spec),
        "sampling": asdict(store.sampling),
        "to": to,
        "dtype": dtype,
        "rows": dict(rows),
        "files": stamps,
    }
    (folder / ABOUT).write_text(files.sealed(held))
