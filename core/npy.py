"""Arrays in .npy files, written so that a full disk says so and mapped so that threads may do it at once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_MAGIC, _START = 8, 10  # bytes: the format's name, and with the length of the text after it


def header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What stands before an array's bytes."""
    buffer = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(np.broadcast_to(np.empty((), dtype), shape))
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def encoded(array: Array) -> bytes:
    """A whole file in memory."""
    return header(array.dtype, array.shape) + array.tobytes()


def write(path: Path, pieces: Sequence[Array]) -> None:
    """Arrays of one kind, one behind the other. Not numpy.save, whose error for a full disk has no reason."""
    shape = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
    with path.open("wb") as file:
        file.write(header(pieces[0].dtype, shape))
        for piece in pieces:
            file.write(np.ascontiguousarray(piece).data)


def content_bytes(path: Path) -> int:
    """How many bytes of a file are the array's."""
    return path.stat().st_size - len(_header_of(path))


def mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The array in a file, mapped; a ValueError where it holds another kind.

    The header is compared with the one it must have, and not parsed: numpy.load parses with `ast`, which
    CPython 3.11 cannot do in two threads at a time (SystemError: AST constructor recursion depth mismatch).
    """
    found = _header_of(path)
    wanted = int(np.prod(shape)) * dtype.itemsize
    fits = _text(found) == _text(header(dtype, shape)) and path.stat().st_size - len(found) == wanted
    if not fits:
        raise ValueError(f"it is no .npy file of {dtype} {shape}")
    return np.memmap(path, dtype, "r", len(found), shape) if wanted else np.empty(shape, dtype)


def _text(found: bytes) -> bytes:
    return found[:_MAGIC] + found[_START:].rstrip()  # how long the padding is differs between versions


def _header_of(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(_START)
        return start + file.read(int.from_bytes(start[_MAGIC:], "little"))
