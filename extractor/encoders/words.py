"""A list of words from a file: JSON, one a line, or numpy's, if nothing in it is pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.errors import EncoderError, UsageError
from extractor.encoders import pickles
from extractor.encoders.pickles import Named, Thing

_NUMPY = b"\x93NUMPY"
_ARRAY = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")


def read(path: Path) -> tuple[str, ...]:
    """The words in their order; an EncoderError says what the file is instead."""
    if not path.is_file():
        raise UsageError(f"The word list {path} does not exist.")
    try:
        with path.open("rb") as file:
            is_numpy = file.read(len(_NUMPY)) == _NUMPY
        if is_numpy:
            return tuple(_plain(np.load(path, allow_pickle=False).tolist()))
        text = path.read_text(encoding="utf-8")
        return tuple(
            _plain(json.loads(text) if path.suffix == ".json" else text.removesuffix("\n").split("\n"))
        )
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError, EOFError) as error:
        if "allow_pickle" in str(error):
            raise EncoderError(
                f"{path} is pickled, and is not unpickled; `cinedex convert {path} --to FILE.json` takes out "
                "the words and runs nothing."
            ) from error
        raise no_words(path, str(error).splitlines()[0].rstrip(".")) from error


def unpickled(path: Path) -> list[str]:
    """The words of an array of Python's strings, which numpy pickles; none of it is run. A plain one too."""
    try:
        with path.open("rb") as file:
            if not _dtype(file).hasobject:
                return list(read(path))
            return _plain(_items(pickles.read(file).value))
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise no_words(path, str(error).splitlines()[0].rstrip(".")) from error


def no_words(path: Path, why: str) -> EncoderError:
    """One sentence."""
    return EncoderError(f"{path} is no list of words, or a damaged one: {why}.")


def _dtype(file: BinaryIO) -> np.dtype[Any]:
    """Of the array that begins there; the file then stands behind what says so."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it has the version {version}")
    reads = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    dtype: np.dtype[Any] = reads(file)[2]
    return dtype


def _items(value: Any) -> list[Any]:
    """What an array of objects holds: the last part of its state."""
    is_array = isinstance(value, Thing) and isinstance(value.of, Named) and str(value.of) in _ARRAY
    state = value.state if is_array else None
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], list):
        raise ValueError("the pickle in it is no array")
    items = state[4]
    if state[1] == () and len(items) == 1 and isinstance(items[0], list):  # a list in an array of one
        items = items[0]
    return [_word(item) for item in items]


def _word(item: Any) -> Any:
    """numpy's own strings are their characters, four bytes each."""
    if isinstance(item, Thing) and isinstance(item.of, Named) and str(item.of) in _SCALAR:
        match item.args:
            case (Thing(args=(str(dtype), *_)), bytes(data)) if dtype.startswith("U"):
                return data.decode("utf-32-le").rstrip("\0")
    return item


def _plain(items: Any) -> list[str]:
    if not isinstance(items, list) or not items:
        raise ValueError("it holds no words")
    for number, item in enumerate(items):
        if not isinstance(item, str):
            raise ValueError(f"number {number} is {type(item).__name__}, no word")
    return items
