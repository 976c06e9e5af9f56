"""Files that are mapped and not read: held to size and ends when opened, to every byte when checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.errors import SnapshotError

# A header or a footer that lies about what is between is what makes a reader crash.
ENDS_BYTES = 65_536

Array = np.ndarray[Any, Any]


def stamp(path: Path) -> dict[str, Any]:
    """What a manifest holds of a file."""
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
    try:
        size = path.stat().st_size
        if size != held["bytes"]:
            raise SnapshotError(f"{path} is damaged: it has {size} bytes, not {held['bytes']}.")
        if _hash_ends(path) != held["ends"]:
            raise SnapshotError(f"{path} is damaged: its first or last bytes are not those written.")
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} is missing.") from error
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}.") from error


def damage(path: Path, held: Mapping[str, Any]) -> list[str]:
    """One sentence if any byte of a file is another than was written."""
    try:
        found = files.hash_file(path)
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}."]
    if found != held["blake2b"]:
        return [f"{path} is damaged: its hash is not the one its manifest holds."]
    return []


def write_npy(path: Path, array: Array) -> None:
    """Like numpy.save, but a full disk is an OSError that says so."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(np.ascontiguousarray(array).data)


def open_npy(path: Path, dtype: np.dtype[Any], held: Mapping[str, Any]) -> Array:
    """The array in a file, mapped."""
    require(path, held)
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} cannot be read: {error}.") from error
    if found.dtype != dtype or found.ndim != 1:
        raise SnapshotError(f"{path} holds {found.dtype} of {found.ndim} dimensions, not a list of {dtype}.")
    return found
