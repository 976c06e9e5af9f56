"""Files that are mapped and not read: held to size and ends when opened, to every byte when checked."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from core import files, npy
from core.errors import SnapshotError
from index.folders import opening

# A header or a footer that lies about what is between is what makes a reader crash.
ENDS_BYTES = 65_536
WHOLE_BYTES = 4 << 20  # a file that is no larger is compared whole: 4 ms
_BLOCK_BYTES = 1 << 20

Array = np.ndarray[Any, Any]


def stamp(path: Path, head_bytes: int = 0) -> dict[str, Any]:
    """What a manifest holds of a file; head_bytes: how much of it a reader must be able to trust."""
    head = max(head_bytes, ENDS_BYTES)
    with opening(path):
        held = {
            "bytes": path.stat().st_size,
            "blake2b": files.hash_file(path),
            "ends": _hash_ends(path, head),
        }
    return held | ({"head": head} if head > ENDS_BYTES else {})


def stamps(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The same of several files, by name."""
    return {path.name: stamp(path) for path in paths}


def are_stamps(held: object) -> bool:
    """Whether this is what `stamps` makes, as far as who compares files needs it."""
    return isinstance(held, dict) and all(
        isinstance(each, dict)
        and type(each.get("bytes")) is int
        and isinstance(each.get("blake2b"), str)
        and isinstance(each.get("ends"), str)
        and type(each.get("head", 0)) is int
        and each.get("head", 0) >= 0  # else all of it would be read
        for each in held.values()
    )


def _hash_ends(path: Path, head_bytes: int) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        while block := file.read(min(_BLOCK_BYTES, head_bytes - file.tell())):
            digest.update(block)
        file.seek(max(file.tell(), size - ENDS_BYTES))
        digest.update(file.read(ENDS_BYTES))
    return digest.hexdigest()


def require(path: Path, held: Mapping[str, Any] | None) -> None:
    """Refuse a file that is missing, of another size, or with another beginning or end."""
    if held is None:
        raise SnapshotError(f"{path} has no size and no hash in its manifest.")
    require_size(path, held)
    is_small = held["bytes"] <= WHOLE_BYTES
    with opening(path):
        found = files.hash_file(path) if is_small else _hash_ends(path, held.get("head", ENDS_BYTES))
    if found != held["blake2b" if is_small else "ends"]:
        raise SnapshotError(f"{path} is damaged: its bytes are not those that were written.")


def require_size(path: Path, held: Mapping[str, Any]) -> None:
    """Refuse a file that is missing or of another size, without reading it."""
    with opening(path):
        try:
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise SnapshotError(f"{path} is missing.") from error
    if size != held["bytes"]:
        raise SnapshotError(f"{path} is damaged: it has {size} bytes, not {held['bytes']}.")


def damage(path: Path, held: Mapping[str, Any]) -> list[str]:
    """One sentence if any byte of a file is another than was written."""
    try:
        found = files.hash_file(path)
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}."]
    if found != held["blake2b"]:
        return [f"{path} is damaged: its hash is not the one its manifest holds."]
    return []


def expect(array: Array, *, single_pages: bool) -> None:
    """How a mapped array is read from now on: else a disk reads 128 KiB around a page, which rows far from
    each other have no use for."""
    held: object = array
    while isinstance(held, np.ndarray):
        held = held.base
    if isinstance(held, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):  # an empty one is not mapped
        held.madvise(mmap.MADV_RANDOM if single_pages else mmap.MADV_NORMAL)


def open_npy(path: Path, dtype: np.dtype[Any], held: Mapping[str, Any] | None) -> Array:
    """The list in a file, mapped."""
    require(path, held)
    try:
        with opening(path):
            # As a plain array over the same bytes: numpy's class for mapped ones is slow to index.
            return np.asarray(npy.mapped(path, dtype, (npy.content_bytes(path) // dtype.itemsize,)))
    except ValueError as error:
        raise SnapshotError(f"{path} does not hold a list of {dtype}.") from error
