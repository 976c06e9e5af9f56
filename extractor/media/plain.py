"""What a process says that has read a stranger's file, as bytes: values alone. Whoever has taken it over can
say what is wrong, and nothing that runs here, as a pickle could."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from core import errors
from core.query import Frames
from core.types import Look, Sampling
from extractor.media.cut import Clip

MOST_BYTES = 512 << 20  # what a request's pictures take at most is less
_HEAD = 8  # bytes of the length of what is JSON
_ARRAYS = ("|u1", "<f4", "<f8", "<i8")
Records = Mapping[str, Callable[..., Any]]
_ERRORS: dict[str, Callable[..., Exception]] = {
    each.__name__: each
    for each in (
        errors.Error,
        errors.UsageError,
        errors.VideoError,
        errors.EncoderError,
        errors.StoreError,
        errors.SnapshotError,
        OSError,
    )
}


def records(*kinds: type[Any]) -> Records:
    """Those that `read` may make."""
    return {kind.__name__: kind for kind in kinds}


_OF_REQUESTS = records(Frames, Look, Sampling, Clip)


class NotPlainError(ValueError):
    """These bytes are none that `written` makes."""


def written(value: Any) -> bytes:
    """None, numbers, texts, bytes, arrays, pictures, errors; and lists and tuples of these."""
    raw: list[bytes] = []
    head = json.dumps(_shown(value, raw)).encode()
    return b"".join((len(head).to_bytes(_HEAD, "big"), head, *raw))


def read(data: bytes, known: Records = _OF_REQUESTS) -> Any:
    """What was written, or a NotPlainError."""
    try:
        behind = _HEAD + int.from_bytes(data[:_HEAD], "big")
        rest = _Rest(memoryview(data), behind, known)
        found = _taken(json.loads(data[_HEAD:behind]), rest)
    except (errors.Error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise NotPlainError(f"no plain value: {error}") from error
    if rest.at != len(data):
        raise NotPlainError("no plain value: it goes on behind its end")
    return found


def _shown(value: Any, raw: list[bytes]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_shown(each, raw) for each in value]
    if isinstance(value, tuple):
        return {"tuple": [_shown(each, raw) for each in value]}
    if isinstance(value, bytes):
        raw.append(value)
        return {"bytes": len(value)}
    if isinstance(value, np.ndarray):
        raw.append(value.tobytes())
        return {"array": value.dtype.str, "shape": value.shape}
    if isinstance(value, Exception):
        named = next(base.__name__ for base in type(value).__mro__ if base.__name__ in _ERRORS)
        return {"error": named, "args": _shown(_args(value), raw)}
    held = {each.name: _shown(getattr(value, each.name), raw) for each in fields(value)}
    return {"record": type(value).__name__, "fields": held}


def _args(error: Exception) -> list[Any]:
    if isinstance(error, OSError):
        filename = error.filename
        name = [] if filename is None else [filename if isinstance(filename, bytes) else str(filename)]
        return [*error.args[:2], *name]
    field = getattr(error, "field", None)
    return [str(error)] if field is None else [str(error), field]


class _Rest:
    """What stands behind the JSON, as far as it was not taken yet; and what may be made of all."""

    def __init__(self, data: memoryview, at: int, known: Records) -> None:
        self._data, self.at, self.known = data, at, known

    def take(self, size: int) -> memoryview:
        if not 0 <= size <= len(self._data) - self.at:
            raise ValueError(f"{size} bytes are not there")
        self.at += size
        return self._data[self.at - size : self.at]


def _taken(held: Any, rest: _Rest) -> Any:
    if isinstance(held, list):
        return [_taken(each, rest) for each in held]
    if not isinstance(held, dict):
        return held
    if "tuple" in held:
        return tuple(_taken(each, rest) for each in held["tuple"])
    if "bytes" in held:
        return bytes(rest.take(held["bytes"]))
    if "array" in held:
        return _array(held["array"], held["shape"], rest)
    if "error" in held:
        return _error(held["error"], _taken(held["args"], rest))
    taken = {str(name): _taken(each, rest) for name, each in held["fields"].items()}
    return rest.known[held["record"]](**taken)


def _array(named: str, shape: list[int], rest: _Rest) -> Any:
    if named not in _ARRAYS or any(type(side) is not int or side < 0 for side in shape):
        raise ValueError(f"no array of {named} and {shape}")
    dtype, count = np.dtype(named), 1
    for side in shape:
        count *= side
    flat = np.frombuffer(rest.take(count * dtype.itemsize), dtype)
    return flat.reshape(shape).copy()  # whoever gets it may write into it


def _error(named: str, args: list[Any]) -> Exception:
    if not all(isinstance(each, str | int | bytes) for each in args):
        raise TypeError("no error's arguments")
    return _ERRORS[named](*args)
