"""A folder for one encoder, and the immutable shards in it. docs/store-format.md says what the bytes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from core import files, npy
from core.errors import StoreError
from core.log import Log, begin
from core.shard import Shard
from core.types import (
    EncoderSpec,
    Float32Array,
    Sampling,
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
        cls,
        root: Path,
        spec: EncoderSpec,
        sampling: Sampling,
        probes: Float32Array | None = None,
        calibration: Mapping[str, Any] = MappingProxyType({}),
    ) -> Store:
        """Make a store, or open the one that is there if it was made with the same."""
        with files.writing(root):
            root.mkdir(parents=True, exist_ok=True)
            for name in FOLDERS:
                (root / name).mkdir(exist_ok=True)
        path = root / "store.json"
        if not files.exists(path):
            begin(root / "log")
            data = b"" if probes is None else npy.encoded(probes.astype(np.float32))
            held: dict[str, Any] = {
                "format": FORMAT,
                "encoder": spec_to_json(spec),
                "sampling": asdict(sampling),
                "probes": files.hash_bytes(data) if data else "",
                **({"calibration": dict(calibration)} if calibration else {}),
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
        if files.exists(root) and not root.is_dir():
            raise StoreError(f"{root} is a file, not the folder of a store.")
        if not files.exists(path):
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
        held = self.spec
        if spec.fingerprint != held.fingerprint:
            if spec.name == held.name and spec.weights != held.weights:
                raise StoreError(
                    f"{self.root} holds vectors of {held.name} with the weights {held.weights}, not "
                    f"{spec.weights}: name another folder for these, or install the release that made it."
                )
            raise StoreError(
                f"{self.root} holds vectors of {held.name} ({held.fingerprint}), "
                f"not of {spec.name} ({spec.fingerprint})."
            )
        if sampling is not None and sampling != self.sampling:
            mine, asked = asdict(self.sampling), asdict(sampling)
            other = [f"{name} {mine[name]}, not {asked[name]}" for name in mine if mine[name] != asked[name]]
            raise StoreError(f"{self.root} was sampled with {'; '.join(other)}.")

    @cached_property
    def calibration(self) -> Mapping[str, Any]:
        """What is known of this encoder's scores, in docs/store-format.md's words; mostly nothing."""
        held = files.read_sealed(self.root / "store.json").get("calibration", {})
        return held if isinstance(held, dict) else {}

    def probes(self) -> Float32Array | None:
        """Vectors of the everyday sentences of extractor/probes.txt, if the encoder takes texts."""
        path = self.root / PROBES
        try:
            with files.reading(path):
                if not path.exists():
                    return None
                rows = npy.content_bytes(path) // 4 // self.spec.dim
                return np.array(npy.mapped(path, np.dtype(np.float32), (rows, self.spec.dim)))
        except ValueError as error:
            raise StoreError(f"{path} is damaged: {error}.") from error

    def shard(self, name: str) -> Shard:
        """A committed shard by the name the log gives it."""
        return Shard(self.root / "shards" / name)


def store_slug(encoder: str) -> str:
    """The folder name of an encoder's store: its whole name, other characters as '-'."""
    kept = "".join(c if c.isalnum() else "-" for c in encoder.lower())
    return "-".join(piece for piece in kept.split("-") if piece)
