"""Files that are mapped and not read: held to size and ends when opened, to every byte when checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.errors import SnapshotError
from core.store import npy_header
from index.folders import opening

# A header or a footer that lies about what is between is what makes a reader crash.
ENDS_BYTES = 65_536
_NPY_MAGIC, _NPY_START = 8, 10  # bytes: the format's name, and with the length of the text after it

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


def write_npy(path: Path, array: Array) -> None:
    """Like numpy.save, but a full disk is an OSError that says so."""
    with path.open("wb") as file:
        file.write(npy_header(array))
        file.write(np.ascontiguousarray(array).data)


def open_npy(path: Path, dtype: np.dtype[Any], held: Mapping[str, Any]) -> Array:
    """The list in a file, mapped."""
    require(path, held)
    with opening(path), path.open("rb") as file:
        start = file.read(_NPY_START)
        rest = file.read(int.from_bytes(start[_NPY_MAGIC:], "little"))
    first = len(start) + len(rest)
    rows = (held["bytes"] - first) // dtype.itemsize
    # Compared with the header it must have, and not parsed: numpy.load parses with `ast`, and CPython 3.11
    # cannot do that in two threads at a time (SystemError: AST constructor recursion depth mismatch).
    header = npy_header(np.broadcast_to(np.empty((), dtype), (rows,)))
    found, wanted = (start[:_NPY_MAGIC] + rest.rstrip(), header[:_NPY_MAGIC] + header[_NPY_START:].rstrip())
    if found != wanted:
        raise SnapshotError(f"{path} does not hold a list of {dtype}.")
    if not rows:
        return np.empty(0, dtype)
    with opening(path):
        return np.memmap(path, dtype, "r", first, (rows,))
