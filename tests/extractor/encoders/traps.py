"""Pickles that would run something: each makes a file `sprung` in the current folder when it is unpickled."""

from __future__ import annotations

import argparse
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from core.errors import EncoderError

SPRUNG = Path("sprung")
_SHELL = b"touch sprung"
_CODE = "open('sprung', 'w').close()"


def spring() -> None:
    """What must not happen."""
    SPRUNG.touch()


class Reduced:
    """Calls something with something."""

    def __init__(self, *reduced: Any) -> None:
        self._reduced = reduced

    def __reduce__(self) -> Any:
        return self._reduced


class Stated:
    """Runs when its state is set."""

    def __init__(self) -> None:
        self.a = 1

    def __setstate__(self, state: object) -> None:
        spring()


class Born:
    """Runs when it is made."""

    def __new__(cls, *args: object, **named: object) -> Born:
        if args or named:
            spring()
        return super().__new__(cls)

    def __getnewargs_ex__(self) -> tuple[tuple[int], dict[str, int]]:
        return (1,), {"b": 2}


class Hashed:
    """Runs when it becomes a key."""

    def __hash__(self) -> int:
        if "TRAPS" in globals():  # not while it is laid
            spring()
        return 1


class Filled:
    """Runs when items are added, or set."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __reduce__(self) -> Any:
        return Filled, (), None, iter(self._items), iter([(1, 2)])

    def append(self, item: object) -> None:
        spring()

    def extend(self, items: object) -> None:
        spring()

    def __setitem__(self, key: object, value: object) -> None:
        spring()


def _setter(target: object, state: object) -> None:
    spring()


def _dumped(held: object, protocol: int = 2) -> bytes:
    return pickle.dumps(held, protocol)


def _short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _exec() -> Reduced:
    return Reduced(exec, (_CODE,))


_RUN = _global("os", "system") + b"(U" + bytes([len(_SHELL)]) + _SHELL + b"tR"  # on the stack: its exit code

TRAPS: dict[str, bytes] = {
    "reduce": _dumped(_exec()),
    "reduce, text": _dumped(_exec(), 0),
    "reduce, newest": _dumped(_exec(), 5),
    "a shell by its name": _RUN + b".",
    "inst": b"(S'touch sprung'\nios\nsystem\n.",
    "obj": b"(" + _global("os", "system") + b"S'touch sprung'\no.",
    "stack_global": b"\x80\x04" + _short("os") + _short("system") + b"\x93(S'touch sprung'\ntR.",
    "stack_global from the memo": (
        b"\x80\x04" + _short("system") + b"\x94" + _short("os") + b"h\x00\x93(S'touch sprung'\ntR."
    ),
    "stack_global through dots": (
        b"\x80\x04" + _short("pathlib") + _short("os.system") + b"\x93(S'touch sprung'\ntR."
    ),
    "eval": _dumped(Reduced(eval, (_CODE,))),
    "getattr": (
        _global("builtins", "getattr")
        + b"("
        + _global("builtins", "__import__")
        + b"(S'os'\ntRS'system'\ntR(S'touch sprung'\ntR."
    ),
    "a pickle in a pickle": _dumped(Reduced(pickle.loads, (_dumped(_exec()),))),
    "a runner of code": _global("runpy", "_run_code") + b"(V" + _CODE.encode() + b"\n}tR.",
    "a state": _dumped(Stated()),
    "a state of somebody's own reconstructor": _dumped(Stated(), 0),
    "a state that another function sets": _dumped(
        Reduced(argparse.Namespace, (), {"a": 1}, None, None, _setter)
    ),
    "a new object": _dumped(Born()),
    "a new object, newest": _dumped(Born(), 4),
    "a key": _dumped({Hashed(): 1}),
    "a member of a set": _dumped({Hashed()}, 4),
    "one item": _dumped(Filled(1)),
    "items": _dumped(Filled(1, 2)),
    "within a namespace": _dumped(argparse.Namespace(lr=argparse.Namespace(deep=_exec()))),
    "within the weights": _dumped({"model": {"a": _exec()}}),
    "instead of the weights": _dumped({"model": _exec()}),
    "as a name of a weight": b"}(" + _RUN + b"K\x01u.",
    "thrown away": _RUN + b"0}.",
    "outside the pickle": b"(S'storage'\n" + _RUN + b"S'0'\nS'cpu'\nK\x01tQ.",
    "as the type of the values": (
        b"}U\x05model}U\x01a"
        + _global("torch._utils", "_rebuild_tensor_v2")
        + b"((S'storage'\n"
        + _RUN
        + b"S'0'\nS'cpu'\nK\x01tQK\x00(t(t\x89NtRss."
    ),
    "as a tensor of somebody's own type": (
        b"}U\x05model}U\x01a"
        + _global("torch._tensor", "_rebuild_from_type_v2")
        + b"("
        + _global("os", "system")
        + _global("torch", "Tensor")
        + b"(S'touch sprung'\nt}tRss."
    ),
}


def zipped(
    path: Path, pickled: bytes, more: Mapping[str, bytes] = MappingProxyType({}), *, is_stored: bool = True
) -> Path:
    """A file of torch.save's newer kind around a pickle."""
    with ZipFile(path, "w", ZIP_STORED if is_stored else ZIP_DEFLATED) as file:
        for name, data in {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", **more}.items():
            file.writestr(f"archive/{name}", data)
    return path


def legacy(path: Path, pickled: bytes, keys: object = (), values: bytes = b"") -> Path:
    """One of the older kind."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [_dumped(0x1950A86A20F9469CFC6C), _dumped(1001), _dumped(system), pickled, _dumped(keys), values]
    path.write_bytes(b"".join(parts))
    return path


def sized(values: int, data: bytes = b"") -> bytes:
    """As the older kind writes a storage."""
    return struct.pack("<q", values) + data


FEW = ("reduce", "within the weights", "a key", "as the type of the values")


def require_refused(load: Callable[[Path], object], folder: Path, trap: str) -> None:
    """In one sentence that names the file, and nothing was run; the current folder is `folder`."""
    file = zipped(folder / "bad.pt", TRAPS[trap])
    with pytest.raises(EncoderError) as caught:
        load(file)
    assert str(caught.value).count("\n") == 0 and "bad.pt" in str(caught.value)
    assert not SPRUNG.exists()
