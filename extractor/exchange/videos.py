"""Folders of clip-video-encode: an array a video, as files or in tars, its caption and metadata beside it."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.files import reading
from extractor.exchange.arrays import decoded, mapped, unzipped
from extractor.exchange.found import Found, Vectors, at_rate
from extractor.exchange.values import as_path, plain
from extractor.url import shorn

LOCATION = "videoLoc"
_PARTS = (".npy", ".npz", ".txt", ".cap", ".json")
_TARS = (".tar", ".tar.gz")
_TAR_END_BYTES = 1024  # that are zero, at the end of every whole tar
# One number a picture, so no column of the video.
_BY_PICTURE = ("clip_frame_similarity",)


@dataclass
class _Sample:
    """The files of one video."""

    key: str
    where: str
    vectors: Vectors | None = None
    columns: dict[str, Any] = field(default_factory=dict)

    def found(self, fps: float | None) -> Found | None:
        """None where there are no pictures: the tool writes captions without vectors, too."""
        if self.vectors is None or not len(self.vectors):
            return None
        columns = {name: value for name, value in self.columns.items() if name not in _BY_PICTURE}
        location = columns.pop(LOCATION, None)
        name = location if isinstance(location, str) and location else self.key
        rows = at_rate(self.vectors, fps, self.where)
        return Found(as_path(name), self.where, {"frame": rows}, columns, approximate=True)


@dataclass(frozen=True)
class EncodedVideos:
    """What clip-video-encode wrote, in either of its formats; so is an EmbeddingWebDataset."""

    folder: Path
    fps: float | None

    def __iter__(self) -> Iterator[Found]:
        for sample in self._samples():
            if found := sample.found(self.fps):
                yield found

    def _samples(self) -> Iterator[_Sample]:
        tars = files_in(self.folder, *_TARS)
        for path in files_in(self.folder, ".npy", ".npz"):
            yield _from_files(self.folder, path)
        for path in tars:
            yield from _from_tar(path)


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """The files below a folder that end so, sorted; an unreadable folder is an error."""

    def refused(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be listed: {error.strerror}.") from error

    return sorted(
        Path(inside, name)
        for inside, _, names in os.walk(folder, onerror=refused)
        for name in names
        if name.endswith(suffixes) and not name.startswith(".")
    )


def _from_files(folder: Path, path: Path) -> _Sample:
    sample = _Sample(str(path.relative_to(folder).with_suffix("")), str(path))
    for suffix in _PARTS:
        part = path.with_name(path.stem + suffix)
        if part == path and suffix == ".npy":
            sample.vectors = mapped(part)
        elif part == path or (suffix not in (".npy", ".npz") and part.is_file()):
            with reading(part):
                _take(sample, suffix, part.read_bytes(), str(part))
    return sample


def _from_tar(path: Path) -> Iterator[_Sample]:
    """A sample's files follow each other."""
    _require_end(path)
    sample: _Sample | None = None
    try:
        with reading(path), tarfile.open(path, "r|*") as tar:
            for member in tar:
                stem, suffix = os.path.splitext(member.name)
                if not member.isfile() or suffix not in _PARTS:
                    continue
                if sample is None or sample.key != stem:
                    if sample:
                        yield sample
                    sample = _Sample(stem, f"{path} {stem}")
                held = tar.extractfile(member)
                _take(sample, suffix, held.read() if held else b"", f"{path} {member.name}")
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"{path} is damaged or cut off: {error}.") from error
    if sample:
        yield sample


def _require_end(path: Path) -> None:
    """Between two members, tarfile takes the end of a torn file for that of a whole one."""
    if path.suffix == ".tar":
        with reading(path), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAR_END_BYTES))
            if file.read() != bytes(_TAR_END_BYTES):
                raise UsageError(f"{path} is cut off: it lacks the empty blocks that end a tar.")


def _take(sample: _Sample, suffix: str, data: bytes, where: str) -> None:
    if suffix == ".npy":
        sample.vectors = decoded(data, where)
    elif suffix == ".npz":
        sample.vectors = unzipped(data, where)
    elif suffix == ".json":
        sample.columns = _json(data, where) | sample.columns
    else:
        sample.columns["caption"] = shorn(_text(data, where))


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        held = json.loads(data)
        if isinstance(held, dict):
            return plain(held)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}.") from error
    raise UsageError(f"{where} must hold one JSON object.")


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8: {error.reason} at byte {error.start}.") from error
