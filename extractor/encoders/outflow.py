"""A checkpoint's tensors from where they lie into a safetensors file, block by block."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from core import files
from core.errors import EncoderError
from extractor.encoders.archive import Archive, Held, damaged, opened
from extractor.encoders.base import characters
from extractor.encoders.pickles import Named, Outside, Thing
from extractor.encoders.runners import asks
from extractor.encoders.tensors import MOST_HEADER_BYTES, WRAPPERS

_BLOCK_BYTES = 16 << 20
_MOST_TIMES, _MORE_BYTES = 4, 64 << 20  # of the file's size: tensors may share values, but not without end
_ABOUT = "__metadata__"
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_SHOWN_NAME = 200
_SHOWN_BITS = 128


def most_bytes(size: int) -> int:
    """That a file of that size can become."""
    return _MOST_TIMES * size + _MORE_BYTES


def written(path: Path, to: Path) -> dict[str, Any]:
    """The file made; how many tensors it holds, from which key, and what was left out."""
    archive = opened(path)
    under, tensors, left_out = taken(archive)
    with files.reading(path):
        about = {"from": path.name, "sha256": files.sha256_file(path), "under": under}
    _write(archive, tensors, to, about)
    return {"count": len(tensors), "taken_from": under, "left_out": left_out}


def taken(archive: Archive) -> tuple[str, dict[str, Held], list[str]]:
    """What is taken out: from which key, by name, and what is left out; an EncoderError where it is none."""
    path = archive.path
    under, held, left_out = _state(archive)
    tensors = {}
    for name, value in held.items():
        if isinstance(name, str) and name != _ABOUT and (found := archive.tensor(value)) is not None:
            tensors[name] = found
        else:
            left_out.append(_entry(name, value))
    if not tensors and archive.runs:
        raise asks(path, archive.runs)
    if not tensors:
        raise EncoderError(f"{path} holds no tensors by name, but {_entries(archive.value)}.")
    if sum(tensor.bytes for tensor in tensors.values()) > most_bytes(path.stat().st_size):
        raise damaged(path, "its tensors claim to be far larger than the file")
    return under, tensors, left_out


def _state(archive: Archive) -> tuple[str, Mapping[Any, Any], list[str]]:
    """Where the tensors are by name: under what training scripts call them, else plain."""
    held, under, left_out = _mapping(archive.value), "", []
    for name in WRAPPERS:
        within = _mapping((held or {}).get(name))
        if held is not None and within is not None:
            left_out += [_entry(key, value) for key, value in held.items() if key != name]
            under, held = f"{under}.{name}" if under else name, within
    if held is None and archive.runs:
        raise asks(archive.path, archive.runs)
    if held is None:
        raise EncoderError(
            f"{archive.path} holds no tensors by name, but {_called(archive.value)}; only dictionaries of "
            "tensors are taken, plain or under one of " + ", ".join(WRAPPERS) + "."
        )
    return under, held, left_out


def _mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Thing):
        return value.pairs or None  # a dictionary of somebody's own class
    return value if isinstance(value, dict) else None


# --- what was left out, for people -------------------------------------------------------------------


def _entry(key: Any, value: Any) -> str:
    is_plain = isinstance(key, str) or (isinstance(key, int) and key.bit_length() <= _SHOWN_BITS)
    name = str(key) if is_plain else _called(key)  # Python refuses to write out what is longer still
    return f"{_printable(name)} ({_called(value)})"


def _entries(value: Any) -> str:
    held = _mapping(value)
    return "nothing" if not held else ", ".join(_entry(*pair) for pair in list(held.items())[:3])


def _called(value: Any) -> str:
    """What it is; of an object the class that it would have been."""
    match value:
        case Thing(of=Named() as named) | (Named() as named):
            return _printable(str(named))
        case Thing():
            return "an object"
        case Outside():
            return "values without a tensor"
        case dict():
            return f"a dictionary of {len(value)}"
        case list() | tuple():
            return f"a list of {len(value)}"
    return "nothing" if value is None else type(value).__name__


def _printable(text: str) -> str:
    """One line that a terminal may be given."""
    shown = characters(text[:_SHOWN_NAME])
    return "".join(each if each.isprintable() else "?" for each in shown)


# --- the file ----------------------------------------------------------------------------------------


def _write(archive: Archive, tensors: Mapping[str, Held], to: Path, about: Mapping[str, str]) -> None:
    """In the order that safetensors itself writes: the widest values first, so that all are aligned."""
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].width, pair[0]))
    header: dict[str, Any] = {_ABOUT: dict(about)}
    end = 0
    for name, held in ordered:
        offsets = [end, end := end + held.bytes]
        header[name] = {"dtype": held.type, "shape": list(held.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER_BYTES:
        raise damaged(archive.path, "the names of its tensors are longer than safetensors allows")
    with files.reading(archive.path):
        source = np.memmap(archive.path, np.uint8, "r")
    with to.open("xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, held in ordered:
            for block in _blocks(_view(source, held)):
                file.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)


def _view(source: NDArray[np.uint8], held: Held) -> NDArray[Any]:
    """Its values where they lie, as whole numbers of their width: as such none is changed."""
    if not held.bytes:
        return np.empty(held.shape, _UNSIGNED[held.width])
    reach = held.width * (1 + sum((n - 1) * step for n, step in zip(held.shape, held.strides, strict=True)))
    flat = source[held.start : held.start + reach].view(_UNSIGNED[held.width])
    steps = tuple(held.width * step for step in held.strides)
    return as_strided(flat, held.shape, steps, writeable=False)


def _blocks(view: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """In order, each small enough to be copied."""
    if view.nbytes <= _BLOCK_BYTES or view.ndim == 0:
        yield view
    elif len(view) == 1:
        yield from _blocks(view[0])
    else:
        rows = max(1, _BLOCK_BYTES // (view.nbytes // len(view)))
        for first in range(0, len(view), rows):
            yield from _blocks(view[first : first + rows])
