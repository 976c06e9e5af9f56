"""Arrays of other tools: mapped or read, and never unpickled."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UsageError
from core.files import reading
from extractor.exchange.found import Vectors

_MAGIC = b"\x93NUMPY"
_NPZ_KEY = "clip_embeddings"


def mapped(path: Path) -> Vectors:
    """The rows in a .npy file, mapped."""
    with reading(path):
        with path.open("rb") as file:
            _require_npy(file.read(len(_MAGIC)), str(path))
        try:
            return checked(np.load(path, mmap_mode="r", allow_pickle=False), str(path))
        except (ValueError, EOFError) as error:
            raise _wrong(str(path), error) from error


def decoded(data: bytes, where: str) -> Vectors:
    """The rows in the bytes of a .npy file."""
    _require_npy(data[: len(_MAGIC)], where)
    try:
        return checked(np.load(io.BytesIO(data), allow_pickle=False), where)
    except (ValueError, EOFError) as error:
        raise _wrong(where, error) from error


def unzipped(data: bytes, where: str) -> Vectors:
    """The rows in the bytes of an .npz file, under the name that clip-video-encode gives them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.read(f"{_NPZ_KEY}.npy")
    except KeyError as error:
        raise UsageError(
            f"{where} holds no array {_NPZ_KEY!r}; what is pickled in it is never read."
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{where} is no .npz file: {error}.") from error
    return decoded(found, f"{where} {_NPZ_KEY}")


def checked(array: np.ndarray[Any, Any], where: str) -> Vectors:
    """The array, if it is one row of real numbers for each vector."""
    if array.dtype.kind != "f" or array.ndim != 2 or not array.shape[1]:
        raise UsageError(
            f"{where} holds {array.dtype} {list(array.shape)}; vectors are float16, float32 or float64 "
            "in the shape [rows, dim]."
        )
    return array


def _require_npy(start: bytes, where: str) -> None:
    if start != _MAGIC:
        raise UsageError(f"{where} is no .npy file.")


def _wrong(where: str, error: Exception) -> UsageError:
    why = " ".join(str(error).split()).rstrip(".")
    if "object" in why.lower():
        return UsageError(f"{where} holds Python objects, which are never unpickled.")
    return UsageError(f"{where} is damaged or cut off: {why}.")
