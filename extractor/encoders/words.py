"""A list of words from a file: JSON, one a line, or numpy's, if nothing in it is pickled."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import EncoderError, UsageError
from extractor.encoders import pickles
from extractor.encoders.pickles import Named, Thing
from extractor.encoders.runners import asks, runner

_NUMPY, _PICKLED = b"\x93NUMPY", "|O"
_TEXT = re.compile(r"([<>])U([1-9][0-9]{0,4})")
_MOST_HEADER_BYTES = 10_000
_ARRAY = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")


def read(path: Path) -> tuple[str, ...]:
    """The words in their order; an EncoderError says what the file is instead."""
    with _told(path), path.open("rb") as file:
        if file.read(len(_NUMPY)) != _NUMPY:
            text = path.read_text(encoding="utf-8")
            is_json = path.suffix.lower() == ".json"
            return tuple(_plain(json.loads(text) if is_json else text.removesuffix("\n").split("\n")))
        if (kind := _kind(file)) == _PICKLED:
            from extractor.encoders.convert import require_convertible

            require_convertible(path, is_list=True)
            raise EncoderError(
                f"{path} is pickled, and is not unpickled; `cinedex convert {path} --to FILE.json` takes out "
                "the words and runs nothing."
            )
        return tuple(_plain(_characters(file, kind)))


def unpickled(path: Path) -> list[str]:
    """The words of an array of Python's strings, which numpy pickles; none of it is run. A plain one too."""
    with _told(path), path.open("rb") as file:
        if file.read(len(_NUMPY)) != _NUMPY:
            raise ValueError("it is no array of numpy's")
        kind = _kind(file)
        return _plain(_listed(path, file) if kind == _PICKLED else _characters(file, kind))


def _listed(path: Path, file: BinaryIO) -> list[Any]:
    """What the pickled array holds that begins where the file stands."""
    here = file.tell()
    try:
        return _items(pickles.read(file).value)
    except ValueError as error:
        file.seek(here)
        if name := runner(pickles.named(file)):
            raise asks(path, name, what="words") from error
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file, in one sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"The word list {path} does not exist.") from error
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise EncoderError(f"{path} is no list of words, or a damaged one: {why}.") from error


def _kind(file: BinaryIO) -> str:
    """Of the values of the array whose header begins behind its first bytes, as "|O" or "<U12"."""
    version = file.read(2)
    length = {b"\1\0": 2, b"\2\0": 4}.get(version)
    if length is None:
        raise ValueError("its array is of an unknown version")
    header = file.read(min(_MOST_HEADER_BYTES, int.from_bytes(file.read(length), "little")))
    try:
        held = ast.literal_eval(header.decode("latin-1").strip())
        return str(held["descr"])
    except (SyntaxError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise ValueError("the header of its array is damaged") from error


def _characters(file: BinaryIO, kind: str) -> list[str]:
    """Words of one length, filled up with zeros."""
    if (found := _TEXT.fullmatch(kind)) is None:
        raise ValueError(f"it holds values of type {kind[:20]!r}")
    data, width = file.read(), 4 * int(found[2])
    if len(data) % width:
        raise ValueError("it ends within a word")
    order = "utf-32-be" if found[1] == ">" else "utf-32-le"
    return [data[at : at + width].decode(order).rstrip("\0") for at in range(0, len(data), width)]


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
