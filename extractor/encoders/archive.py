"""Files of torch.save, the new kind (a zip) and the old (pickles in a row), without torch: what they hold, as
inert data, and where the values of each tensor lie."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.errors import EncoderError
from extractor.encoders import pickles
from extractor.encoders.pickles import Named, Outside, Pickled, Thing
from extractor.encoders.runners import asks, runner
from extractor.encoders.tensors import CUT, DATA, kind_of, zip_of

_TYPES = {  # of torch's storages and tensors: the name in safetensors, and bytes a value
    **dict.fromkeys(("DoubleStorage", "float64"), ("F64", 8)),
    **dict.fromkeys(("FloatStorage", "float32"), ("F32", 4)),
    **dict.fromkeys(("HalfStorage", "float16"), ("F16", 2)),
    **dict.fromkeys(("BFloat16Storage", "bfloat16"), ("BF16", 2)),
    **dict.fromkeys(("LongStorage", "int64"), ("I64", 8)),
    **dict.fromkeys(("IntStorage", "int32"), ("I32", 4)),
    **dict.fromkeys(("ShortStorage", "int16"), ("I16", 2)),
    **dict.fromkeys(("CharStorage", "int8"), ("I8", 1)),
    **dict.fromkeys(("ByteStorage", "uint8"), ("U8", 1)),
    **dict.fromkeys(("BoolStorage", "bool"), ("BOOL", 1)),
    **{f"uint{bits}": (f"U{bits}", bits // 8) for bits in (16, 32, 64)},
    "float8_e4m3fn": ("F8_E4M3", 1),
    "float8_e5m2": ("F8_E5M2", 1),
}
_WIDTHS = {  # of what safetensors has not, and so is passed over, but must be counted
    **dict.fromkeys(("ComplexDoubleStorage",), 16),
    **dict.fromkeys(("ComplexFloatStorage",), 8),
    **dict.fromkeys(("QInt32Storage",), 4),
    **dict.fromkeys(("QInt8Storage", "QUInt8Storage", "QUInt4x2Storage", "UntypedStorage"), 1),
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # what the old kind begins with
_MOST_PICKLE_BYTES = 256 << 20  # everything in a checkpoint but its tensors
_MOST_AXES = 64
_MOST_VALUES = 1 << 62
_BLOCK_BYTES = 4 << 20
_ENCRYPTED = 1  # of a zip's flags


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor within a file; strides in values."""

    type: str
    width: int  # bytes of a value
    start: int  # of its first value, in bytes
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """As it is written, without gaps."""
        return self.width * prod(self.shape)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some bytes of a file."""

    start: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Id:
    """What a tensor's pickle says of its values."""

    type: str
    key: str
    view: tuple[int, int] | None  # first value and how many; None: all

    @property
    def width(self) -> int:
        return _TYPES[self.type][1] if self.type in _TYPES else _WIDTHS[self.type]


@dataclass(frozen=True, slots=True)
class Archive:
    """What was saved."""

    path: Path
    value: Any
    runs: str  # what it asks to be run, or ""
    _parts: Mapping[str, _Part]  # of the file, by the key of their storage

    def tensor(self, value: Any) -> Held | None:
        """Where a tensor lies; None for what is none, or one of a kind that safetensors does not have."""
        for _ in range(4):  # a parameter around a tensor, and either perhaps of somebody's own class
            if not isinstance(value, Thing) or not isinstance(value.of, Named):
                return None
            args = value.args if isinstance(value.args, tuple) else ()
            match str(value.of):
                case "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" if len(args) >= 4:
                    return self._held(args, None)
                case "torch._utils._rebuild_tensor_v3" if len(args) >= 7:
                    return self._held(args, args[6])
                case "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" if args:
                    value = args[0]
                case "torch._tensor._rebuild_from_type_v2" if len(args) >= 3:
                    value = Thing(args[0], args[2])
                case _:
                    return None
        return None

    def _held(self, args: tuple[Any, ...], dtype: Any) -> Held | None:
        outside, first, shape, strides = args[:4]
        found = _id_of(outside) if isinstance(outside, Outside) else None
        kind = _TYPES.get(dtype.name if isinstance(dtype, Named) else found.type if found else "")
        if found is None or kind is None:
            return None
        part = self._parts.get(found.key)
        if part is None:
            raise damaged(self.path, f"the values {found.key[:80]!r} of a tensor are missing")
        if found.view is not None:
            part = _view(part, found.view[0] * found.width, found.view[1] * found.width)
        if not (_are_sizes(shape) and _are_sizes(strides) and _are_sizes((first,))):
            raise damaged(self.path, "a tensor has no sizes")
        is_empty = not prod(shape)
        if is_empty and prod(size or 1 for size in shape) * kind[1] >= _MOST_VALUES:  # numpy has none such
            raise damaged(self.path, "a tensor has no sizes")
        reach = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=False))
        end = first + (0 if is_empty else reach)
        if len(shape) != len(strides) or end * kind[1] > part.bytes:
            raise damaged(self.path, "a tensor is larger than what it is made of")
        return Held(*kind, part.start + first * kind[1], shape, strides)


def opened(path: Path) -> Archive:
    """A file of torch.save; an EncoderError says what it is instead, or what of it is damaged."""
    kind = kind_of(path)
    try:
        with path.open("rb") as file:
            return _of_zip(path, file) if kind == "zip" else _of_pickles(path, file)
    except (ValueError, BadZipFile, NotImplementedError, EOFError) as error:
        if kind == "pickle" and (name := _runner(path)):
            raise asks(path, name) from error
        raise damaged(path, str(error).rstrip(".") or CUT) from error
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error


def damaged(path: Path, why: str) -> EncoderError:
    """One sentence."""
    return EncoderError(f"{path} is no checkpoint of torch.save, or a damaged one: {why}.")


def _runner(path: Path) -> str:
    with path.open("rb") as file:
        return runner(pickles.named(file))


# --- the new kind ------------------------------------------------------------------------------------


def _of_zip(path: Path, file: BinaryIO) -> Archive:
    with zip_of(path) as held:
        members = {member.filename: member for member in held.infolist()}
        roots = [name.removesuffix(DATA) for name in members if name == DATA or name.endswith(f"/{DATA}")]
        if len(roots) != 1:
            raise ValueError(f"it holds {len(roots) or 'no'} {DATA}")
        _require_order(held, file, members.get(f"{roots[0]}byteorder"))
        data = members[roots[0] + DATA]
        _within(file, data)
        if data.file_size > _MOST_PICKLE_BYTES:
            raise ValueError(f"its {DATA} is larger than {_MOST_PICKLE_BYTES >> 20} MiB")
        pickled = _pickled(path, held.read(data))
        parts = {}
        for key in _keys(pickled.outside):
            if (member := members.get(f"{roots[0]}data/{key}")) is not None:
                parts[key] = _within(file, member)
                _check_sum(held, member)
    return Archive(path, pickled.value, runner(pickled.named), parts)


def _pickled(path: Path, data: bytes) -> Pickled:
    try:
        return pickles.read(BytesIO(data))
    except ValueError as error:
        if name := runner(pickles.named(BytesIO(data))):
            raise asks(path, name) from error
        raise


def _require_order(held: ZipFile, file: BinaryIO, member: ZipInfo | None) -> None:
    if member is None:
        return
    _within(file, member)
    if member.file_size > 16 or held.read(member) != sys.byteorder.encode():
        raise ValueError("its numbers are written in the other byte order")


def _within(file: BinaryIO, member: ZipInfo) -> _Part:
    """Where its bytes are, which torch never compresses or encrypts."""
    name = repr(member.filename[:80])  # a name may hold anything, lines too
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{name} in it is encrypted")
    if member.compress_type != ZIP_STORED or member.compress_size != member.file_size:
        raise ValueError(f"{name} in it is compressed")
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30:
        raise EOFError
    names = sum(struct.unpack("<HH", header[26:30]))  # of the name, and of what else stands there
    return _require_inside(file, _Part(member.header_offset + 30 + names, member.file_size))


def _check_sum(held: ZipFile, member: ZipInfo) -> None:
    """A BadZipFile where bytes are not those that were written."""
    with held.open(member) as file:
        while file.read(_BLOCK_BYTES):
            pass


# --- the old kind ------------------------------------------------------------------------------------


def _of_pickles(path: Path, file: BinaryIO) -> Archive:
    magic = _next(file).value
    if magic != _MAGIC or _next(file).value != _PROTOCOL:
        raise ValueError("it is a pickle, but not of torch.save")
    system = _next(file).value
    if isinstance(system, dict) and system.get("little_endian") is not (sys.byteorder == "little"):
        raise ValueError("its numbers are written in the other byte order")
    pickled, keys = _next(file), _next(file).value
    widths = _keys(pickled.outside)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in widths for key in keys):
        raise ValueError("it does not say whose the values are")
    parts = {}
    for key in keys:
        values = struct.unpack("<q", _exactly(file, 8))[0]
        parts[key] = _require_inside(file, _Part(file.tell(), max(0, values) * widths[key]))
        file.seek(parts[key].start + parts[key].bytes)
    return Archive(path, pickled.value, runner(pickled.named), parts)


def _next(file: BinaryIO) -> Pickled:
    """An EOFError where the file ends within it."""
    try:
        return pickles.read(file)
    except ValueError as error:
        if file.read(1):
            raise
        raise EOFError from error


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data


# --- storages ----------------------------------------------------------------------------------------


def _id_of(outside: Outside) -> _Id | None:
    """None for what is no storage: old files have their modules' sources outside too."""
    match outside.key:
        case ("storage", Named(name=type), str(key), _, int(), *view):
            if type not in _TYPES and type not in _WIDTHS:
                return None
            match view[:1]:
                case [(str(), int(first), int(count))]:
                    return _Id(type, key, (first, count))
            return _Id(type, key, None)
    return None


def _keys(outside: tuple[Outside, ...]) -> dict[str, int]:
    """Of every storage, and how many bytes a value of it has."""
    found = [each for each in map(_id_of, outside) if each is not None]
    return {each.key: each.width for each in found}


def _view(part: _Part, first: int, count: int) -> _Part:
    if first < 0 or count < 0 or first + count > part.bytes:
        return _Part(part.start, 0)
    return _Part(part.start + first, count)


def _are_sizes(values: Any) -> bool:
    """Whole numbers that no honest tensor exceeds."""
    return (
        isinstance(values, tuple)
        and len(values) <= _MOST_AXES
        and all(type(value) is int and 0 <= value < _MOST_VALUES for value in values)
    )


def _require_inside(file: BinaryIO, part: _Part) -> _Part:
    here = file.tell()
    if part.start + part.bytes > file.seek(0, 2):
        raise EOFError
    file.seek(here)
    return part
