"""An export of ours, read back: the same rows, times, places and columns, of the same encoder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core import files, npy
from core.errors import StoreError, UsageError
from core.types import (
    EncoderSpec,
    Facts,
    Float32Array,
    IntArray,
    Place,
    Sampling,
    sampling_from_json,
    spec_from_json,
)
from extractor.exchange.found import Found, Rows
from extractor.exchange.tables import Joined, Pair, joined, pairs_in
from extractor.url import shorn

ABOUT, PROBES = "about.json", "probes.npy"
FORMAT_KEY, FORMAT = "cinedex_export", 1
FACTS = {field.name: field.default for field in fields(Facts)}


def is_ours(folder: Path) -> bool:
    """Whether an about.json says so, right or wrong."""
    path = folder / ABOUT
    if not path.is_file():
        return False
    with files.reading(path):
        try:
            return FORMAT_KEY in json.loads(path.read_bytes())
        except (ValueError, TypeError, RecursionError):
            return False


@dataclass(frozen=True)
class Ours:
    """A folder that `cinedex export --to npy` made, unchanged."""

    folder: Path

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What about.json says, once every file has proved to be the one that it means."""
        path = self.folder / ABOUT
        held = files.read_sealed(path)
        if held[FORMAT_KEY] != FORMAT:
            raise StoreError(f"{path} has the format {held[FORMAT_KEY]}; this version reads format {FORMAT}.")
        if held["to"] != "npy":
            raise UsageError(f"{self.folder} is an export to {held['to']}; import reads exports to npy.")
        for name, stamp in held["files"].items():
            file = self.folder / name
            with files.reading(file):
                if not file.is_file() or files.hash_file(file) != stamp["blake2b"]:
                    raise UsageError(
                        f"{file} is not what was exported; without {ABOUT}, and with --encoder, "
                        "its vectors can be imported as of unknown weights."
                    )
        return held

    @cached_property
    def spec(self) -> EncoderSpec:
        return spec_from_json(self.about["encoder"], self.sampling)

    @cached_property
    def sampling(self) -> Sampling:
        return sampling_from_json(self.about["sampling"])

    def probes(self) -> Float32Array | None:
        """Those of the store it came from."""
        path = self.folder / PROBES
        if not path.exists():
            return None
        count = npy.content_bytes(path) // 4 // self.spec.dim
        return np.array(npy.mapped(path, np.dtype(np.float32), (count, self.spec.dim)))

    def __iter__(self) -> Iterator[Found]:
        pairs = pairs_in(self.folder, key="source")
        for layer in (("frame", "clip"), ("text",)):
            for source in joined([pair for pair in pairs if pair.kind in layer]):
                yield _found(source)


def _found(source: Joined) -> Found:
    held = source.held
    rows = {kind: _rows(pair, of) for kind, (pair, of) in source.rows.items()}
    places = tuple(Place(p["root"], p["path"], p["stamp"]) for p in held["places"])
    given = {name: held[name] for name in FACTS if held.get(name) is not None}
    facts = Facts(**given | {"shots": tuple(given.get("shots", ()))})
    columns = shorn(json.loads(held["columns"]))
    return Found(places[0].path, source.where, rows, columns, False, source.name, places, facts)


def _rows(pair: Pair, of: IntArray) -> Rows:
    rows = pair.rows(of, is_sorted=True, fps=None)
    if pair.kind != "text":
        return rows
    return replace(rows, text=tuple(pair.texts.take(of).to_pylist()))
