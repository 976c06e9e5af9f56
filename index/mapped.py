"""Files that are mapped and not read: held to size and ends when opened, to every byte when checked."""

from __future__ import annotations

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

Array = np.ndarray[Any, Any]


def stamp(path: Path) -> dict[str, Any]:
    """What a manifest holds of a file."""
    with opening(path):
        return {
            "bytes": path.stat().st_size,
            "blake2b": files.hash_file(path),
            "ends": _hash_ends(path),
        }


def stamps(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The same of several files, by name."""
    return {path.name: stamp(path) for path in paths}


def _hash_ends(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest.update(file.read(ENDS_BYTES))
        file.seek(max(file.tell(), size - ENDS_BYTES))
        digest.update(file.read(ENDS_BYTES))
    return digest.hexdigest()


def require(path: Path, held: Mapping[str, Any]) -> None:
    """Refuse a file that is missing, of another size, or with another beginning or end."""
    with opening(path):
        try:
            size, ends = path.stat().st_size, _hash_ends(path)
        except FileNotFoundError as error:
            raise SnapshotError(f"{path} is missing.") from error
    if size != held["bytes"]:
        raise SnapshotError(f"{path} is damaged: it has {size} bytes, not {held['bytes']}.")
    if ends != held["ends"]:
        raise SnapshotError(f"{path} is damaged: its first or last bytes are not those written.")


def damage(path: Path, held: Mapping[str, Any]) -> list[str]:
    """One sentence if any byte of a file is another than was written."""
    try:
        found = files.hash_file(path)
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}."]
    if found != held["blake2b"]:
        return [f"{path} is damaged: its hash is not the one its manifest holds."]
    return []


def open_npy(path: Path, dtype: np.dtype[Any], held: Mapping[str, Any]) -> Array:
    """The list in a file, mapped."""
    require(path, held)
    try:
        with opening(path):
            # As a plain array over the same bytes: numpy's class for mapped ones is slow to index.
            return np.asarray(npy.mapped(path, dtype, (npy.content_bytes(path) // dtype.itemsize,)))
    except ValueError as error:
        raise SnapshotError(f"{path} does not hold a list of {dtype}.") from error
