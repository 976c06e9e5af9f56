"""Folders as other tools write them, and what became of them in a store."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.commands import main
from core.store import Store
from core.types import Kind
from tests.extractor.shelf import vectors

DIM = 12
Array = np.ndarray[Any, Any]


def units(count: int, seed: int = 0, dim: int = DIM) -> Array:
    """Vectors of length 1, as float16 has them."""
    drawn = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    found: Array = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)
    return found


def npy(array: Array, *, pickled: bool = False) -> bytes:
    """The bytes of a .npy file."""
    held = io.BytesIO()
    np.save(held, array, allow_pickle=pickled)
    return held.getvalue()


@dataclass(frozen=True)
class Video:
    """What clip-video-encode writes of one."""

    key: str
    vectors: Array
    caption: str | None = None
    metadata: Mapping[str, Any] | None = None

    def parts(self) -> dict[str, bytes]:
        """The suffixes and bytes of its files."""
        held = {"npy": npy(self.vectors)}
        if self.caption is not None:
            held["txt"] = self.caption.encode()
        if self.metadata:
            held["json"] = json.dumps(self.metadata, indent=4).encode()
        return held


def write_files(folder: Path, videos: Sequence[Video]) -> Path:
    """output_format="files"."""
    for video in videos:
        for suffix, data in video.parts().items():
            path = folder / f"{video.key}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    """As webdataset's writer does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode, about.uname, about.gname = len(data), 0o444, "bigdata", "bigdata"
            tar.addfile(about, io.BytesIO(data))
    return path


def write_shard(folder: Path, videos: Sequence[Video], number: int = 0) -> Path:
    """output_format="webdataset": a sample's parts in the order of their suffixes."""
    members = {
        f"{video.key}.{suffix}": data for video in videos for suffix, data in sorted(video.parts().items())
    }
    write_tar(folder / f"{number:09d}_clip_embeddings.tar", members)
    return folder


def write_partition(
    folder: Path,
    number: str,
    images: Array | None,
    metadata: Mapping[str, Sequence[Any]],
    texts: Array | None = None,
) -> Path:
    """What one partition of clip-retrieval's inference comes to."""
    for name, held in (("img_emb", images), ("text_emb", texts)):
        if held is not None:
            (folder / name).mkdir(parents=True, exist_ok=True)
            np.save(folder / name / f"{name}_{number}.npy", held)
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(metadata)), folder / "metadata" / f"metadata_{number}.parquet")
    return folder


def write_pair(folder: Path, name: str, array: Array, columns: Mapping[str, Any]) -> Path:
    """An array and its table."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", array)
    pq.write_table(pa.table(dict(columns)), folder / f"{name}.parquet")
    return folder


@dataclass(frozen=True)
class Importer:
    """`cinedex import` into a library of the test's own."""

    data: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def store(self) -> Store:
        return Store.open(self.data / "toy-rgb-imported")

    def run(self, folder: Path, *flags: str, code: int = 0) -> str:
        """What it says: on stdout where it does its work, else on stderr."""
        named = () if "--encoder" in flags else ("--encoder", "toy:rgb")
        self.capsys.readouterr()
        assert main(["import", str(folder), "--data", str(self.data), *named, *flags]) == code
        said = self.capsys.readouterr()
        return said.out if code == 0 else said.err

    def refuse(self, folder: Path, *flags: str, code: int = 2) -> str:
        """The one sentence; nothing may have been written."""
        said = self.run(folder, *flags, code=code)
        assert said.count("\n") == 1 and said.startswith("cinedex import: ") and said.endswith(".\n")
        assert not self.data.exists()
        return said.removeprefix("cinedex import: ").rstrip("\n")

    def sources(self) -> dict[str, str]:
        """Path → id of every live source."""
        return {
            place.path.decode(): live.id for live in self.store.log.last().live() for place in live.places
        }

    def columns(self) -> dict[str, dict[str, Any]]:
        """Path → columns."""
        live = self.store.log.last().live()
        return {each.places[0].path.decode(): dict(each.columns) for each in live}

    def rows(self, path: str, kind: Kind) -> tuple[list[float], list[float], Array]:
        """Starts, ends and vectors of one source."""
        start, end, data = vectors(self.store)[self.sources()[path], kind]
        return start, end, np.frombuffer(data, np.float16).reshape(len(start), -1)

    def facts(self, path: str) -> dict[str, Any]:
        """What a shard holds of a source beside its rows."""
        source, known = self.sources()[path], self.store.log.last()
        for winner in known.winners():
            if winner.source == source:
                lines = self.store.shard(winner.shard).sources.to_pylist()
                return next(line for line in lines if line["id"] == source)
        raise KeyError(path)
