"""A folder for one encoder, and the immutable shards in it. docs/store-format.md says what the bytes mean."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core import files
from core.errors import StoreError
from core.log import Log, begin
from core.types import (
    EncoderSpec,
    Float32Array,
    Float64Array,
    IntArray,
    Kind,
    Sampling,
    canonical,
    sampling_from_json,
    spec_from_json,
    spec_to_json,
)

FORMAT = 1
PROBES = "probes.npy"
FOLDERS = ("log", "shards", "parts", "snapshots", "trained")


@dataclass(frozen=True)
class Store:
    """Vectors of one encoder at one sampling, and the log of what is true of them."""

    root: Path
    spec: EncoderSpec
    sampling: Sampling

    @cached_property
    def log(self) -> Log:
        return Log(self.root / "log")

    @classmethod
    def create(
        cls, root: Path, spec: EncoderSpec, sampling: Sampling, probes: Float32Array | None = None
    ) -> Store:
        """Make a store, or open the one that is there if it was made with the same."""
        with files.writing(root):
            root.mkdir(parents=True, exist_ok=True)
            for name in FOLDERS:
                (root / name).mkdir(exist_ok=True)
        path = root / "store.json"
        with files.reading(path):
            is_there = path.exists()
        if not is_there:
            begin(root / "log")
            data = b"" if probes is None else npy_header(probes) + probes.tobytes()
            held: dict[str, Any] = {
                "format": FORMAT,
                "encoder": spec_to_json(spec),
                "sampling": asdict(sampling),
                "probes": files.hash_bytes(data) if data else "",
            }
            # Before the link, and whatever lies there: what is left of a crash may be another encoder's.
            if data:
                files.replace_bytes(root / PROBES, data)
            files.link_new(path, files.sealed(held).encode())
        store = cls.open(root)
        store.require(spec, sampling)
        return store

    @classmethod
    def open(cls, root: Path) -> Store:
        """The store in a folder, or a StoreError that says what is there instead."""
        path = root / "store.json"
        with files.reading(path):
            is_file, is_store = root.is_file(), path.exists()
        if is_file:
            raise StoreError(f"{root} is a file, not the folder of a store.")
        if not is_store:
            raise StoreError(f"{root} is not a store: it has no store.json.")
        held = files.read_sealed(path)
        if held.get("format") != FORMAT:
            raise StoreError(
                f"{root} has the store format {held.get('format')}; this version reads format {FORMAT}."
            )
        sampling = sampling_from_json(held["sampling"])
        return cls(root, spec_from_json(held["encoder"], sampling), sampling)

    def require(self, spec: EncoderSpec, sampling: Sampling | None = None) -> None:
        """Refuse by name what would mix vectors of two encoders, or rows of two samplings."""
        if spec.fingerprint != self.spec.fingerprint:
            raise StoreError(
                f"{self.root} holds vectors of {self.spec.name} ({self.spec.fingerprint}), "
                f"not of {spec.name} ({spec.fingerprint})."
            )
        if sampling is not None and sampling != self.sampling:
            mine, asked = asdict(self.sampling), asdict(sampling)
            other = [f"{name} {mine[name]}, not {asked[name]}" for name in mine if mine[name] != asked[name]]
            raise StoreError(f"{self.root} was sampled with {'; '.join(other)}.")

    def probes(self) -> Float32Array | None:
        """Vectors of the everyday sentences of extractor/probes.txt, if the encoder takes texts."""
        path = self.root / PROBES
        try:
            with files.reading(path):
                found: Float32Array | None = np.load(path, allow_pickle=False) if path.exists() else None
        except (ValueError, EOFError) as error:
            raise StoreError(f"{path} is damaged: {error}.") from error
        if found is not None and (found.ndim != 2 or found.shape[1] != self.spec.dim):
            raise StoreError(f"{path} is damaged: its shape is {found.shape}, not (…, {self.spec.dim}).")
        return found

    def shard(self, name: str) -> Shard:
        """A committed shard by the name the log gives it."""
        return Shard(self.root / "shards" / name)


def npy_header(array: np.ndarray[Any, Any]) -> bytes:
    """What stands before an array's bytes in a .npy file."""
    import io

    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, np.lib.format.header_data_from_array_1_0(array))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one kind in a shard: row i of each array, and of the vectors, belong together."""

    source: IntArray  # line of the shard's sources
    start: Float64Array
    end: Float64Array
    text: pa.ChunkedArray | None = None  # only kind "text"

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Shard:
    """What was embedded in one commit, by content. Never changed once it has its name."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Format, encoder, created, version, rows per kind, files with sizes and hashes."""
        return files.read_sealed(self.path / "manifest.json")

    @cached_property
    def sources(self) -> pa.Table:
        """A line per source and layer: id, layer, facts, rows per kind."""
        return self._table("sources")

    def count(self, kind: Kind) -> int:
        """Rows of that kind."""
        return int(self.manifest["rows"].get(kind, 0))

    def rows(self, kind: Kind) -> Rows:
        """The segments of one kind, in the order of its vectors."""
        table = self._table(kind)
        return Rows(
            table["source"].to_numpy().astype(np.int64),
            table["start"].to_numpy(),
            table["end"].to_numpy(),
            table["text"] if kind == "text" else None,
        )

    def vectors(self, kind: Kind) -> np.ndarray[Any, np.dtype[np.float16]]:
        """float16 [rows, dim], mapped and not read."""
        path = self.path / f"{kind}.npy"
        try:
            return _map_vectors(path)
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be read: {error}.") from error

    def damage(self) -> list[str]:
        """One sentence for each file whose bytes are not the ones that were written."""
        try:
            listed = self.manifest["files"]
        except StoreError as error:
            return [str(error)]
        return [
            f"{self.path / name} is damaged: its hash is not the one its manifest holds."
            for name, held in listed.items()
            if not (self.path / name).exists() or files.hash_file(self.path / name) != held["blake2b"]
        ]

    def _table(self, name: str) -> pa.Table:
        path = self.path / f"{name}.parquet"
        try:
            return pq.read_table(path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path} cannot be read: {error}.") from error


def _map_vectors(path: Path) -> np.ndarray[Any, np.dtype[np.float16]]:
    # Not numpy.load: it parses the header with `ast`, and CPython 3.11 cannot do that in two threads at a
    # time (SystemError: AST constructor recursion depth mismatch). Servers read shards in many.
    with path.open("rb") as file:
        held = _HEADER.match(file.read(_HEADER_BYTES))
    if held is None:
        raise ValueError("it is no .npy file of float16 rows")
    shape = (int(held["rows"]), int(held["dim"]))
    if shape[0] == 0:
        return np.empty(shape, np.float16)
    return np.memmap(path, np.float16, "r", held.end(), shape)


_HEADER_BYTES = 256
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<f2', 'fortran_order': False, "
    rb"'shape': \((?P<rows>\d+), (?P<dim>\d+)\), \} *\n",
    re.DOTALL,
)


def store_slug(encoder: str) -> str:
    """The folder name of an encoder's store: its whole name, other characters as '-'."""
    kept = "".join(c if c.isalnum() else "-" for c in encoder.lower())
    return "-".join(piece for piece in kept.split("-") if piece)


def manifest_hash(manifest: dict[str, Any]) -> str:
    """What the log holds of a shard's manifest."""
    return files.hash_bytes(canonical(manifest).encode())
