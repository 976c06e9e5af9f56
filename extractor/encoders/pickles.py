"""What a pickle says, as inert data.

It is read opcode by opcode, and none of what it asks for is done: no name is looked up, nothing is called, no
attribute is set. Whoever wants something of it interprets that himself.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import SEEK_CUR
from typing import Any, BinaryIO, cast

_PLAIN = (str, int, float, bool, bytes, type(None))  # what may be a key without code of its own being run
_LINE_BYTES = 1 << 20
_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
_SIMPLE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # of whatever, hashable or not
    "EMPTY_TUPLE": tuple,
}
_NOTHING = {"PROTO", "FRAME", "READONLY_BUFFER"}


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A class or a function, by its name alone."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Thing:
    """What would have been an object: of which class or by which function, from what, with which state."""

    of: Any
    args: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)  # as of a list
    pairs: dict[Any, Any] = field(default_factory=dict)  # as of a dictionary


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """What lies beside the pickle, by the name that it has there."""

    key: Any


@dataclass(frozen=True, slots=True)
class Pickled:
    """One pickle's value, and everything outside that it mentions."""

    value: Any
    outside: tuple[Outside, ...]
    named: tuple[Named, ...]  # what would have been looked up, in that order


def read(file: BinaryIO) -> Pickled:
    """The pickle that begins where the file stands; afterwards it stands behind it. A ValueError says what is
    damaged."""
    machine = _Machine([])
    _run(machine, file)
    if len(machine.stack) != 1 or machine.marks:
        raise ValueError("the pickle does not end with one value")
    return Pickled(machine.stack[0], tuple(machine.outside), tuple(machine.named))


def named(file: BinaryIO) -> tuple[Named, ...]:
    """What the pickles that follow each other from there on would look up, until they make no sense."""
    found: list[Named] = []
    with suppress(ValueError):
        while file.read(1):
            file.seek(-1, SEEK_CUR)
            _run(_Machine(found), file)
    return tuple(found)


def _run(machine: _Machine, file: BinaryIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes that mean nothing
        for opcode, arg, _ in pickletools.genops(cast(BinaryIO, _Bounded(file))):
            machine.do(opcode.name, arg)


class _Bounded:
    """A file of which nobody can ask for more than there is: a length in a pickle may be anything."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        here = file.tell()
        self._end = file.seek(0, 2)
        file.seek(here)
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        return self._file.read(max(0, min(size, self._end - self._file.tell())))

    def readline(self) -> bytes:
        return self._file.readline(_LINE_BYTES)


class _Machine:
    """The stack, the marks on it and the memo of a pickle."""

    def __init__(self, named: list[Named]) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []  # how high the stack was at each
        self.outside: list[Outside] = []
        self.named = named  # what is looked up is added to these
        self._memo: dict[int, Any] = {}
        self._odd: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(("BINPUT", "LONG_BINPUT", "PUT"), self._put),
            **dict.fromkeys(("BINGET", "LONG_BINGET", "GET"), self._get),
            **dict.fromkeys(("EXT1", "EXT2", "EXT4"), self._extension),
        }

    def do(self, name: str, arg: Any) -> None:
        """One opcode."""
        if name in _CONSTANTS:
            self.stack.append(arg)
        elif name in _SIMPLE:
            self.stack.append(_SIMPLE[name]())
        elif name in self._odd:
            self._odd[name](arg)
        elif name not in _NOTHING and name != "STOP":
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise ValueError(f"the opcode {name} is not for files")
            method(arg)

    # --- the stack -----------------------------------------------------------------------------------

    def _pop_value(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("the pickle takes more than it has")
        return self.stack.pop()

    def _top(self) -> Any:
        value = self._pop_value()
        self.stack.append(value)
        return value

    def _since_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("the pickle goes back to a mark that it never made")
        first = self.marks.pop()
        values = self.stack[first:]
        del self.stack[first:]
        return values

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _pop(self, _: Any) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self._pop_value()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self._top())

    def _put(self, number: int) -> None:
        self._memo[number] = self._top()

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._top()

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise ValueError("the pickle takes from its memo what it never put there")
        self.stack.append(self._memo[number])

    # --- containers ----------------------------------------------------------------------------------

    def _list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self.stack.append((self._pop_value(),))

    def _tuple2(self, _: Any) -> None:
        two, one = self._pop_value(), self._pop_value()
        self.stack.append((one, two))

    def _tuple3(self, _: Any) -> None:
        three, two, one = self._pop_value(), self._pop_value(), self._pop_value()
        self.stack.append((one, two, three))

    def _frozenset(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _dict(self, _: Any) -> None:
        values = self._since_mark()
        self.stack.append({})
        self._set(values)

    def _append(self, _: Any) -> None:
        self._add([self._pop_value()])

    def _appends(self, _: Any) -> None:
        self._add(self._since_mark())

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        value, key = self._pop_value(), self._pop_value()
        self._set([key, value])

    def _setitems(self, _: Any) -> None:
        self._set(self._since_mark())

    def _add(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Thing):
            target.items += values
        elif isinstance(target, list):
            target += values
        else:
            raise ValueError("the pickle adds to what is no list")

    def _set(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Thing):
            target = target.pairs
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("the pickle sets items of what is no dictionary")
        target.update(zip(map(_key, values[::2]), values[1::2], strict=True))

    # --- what would be code --------------------------------------------------------------------------

    def _global(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.stack.append(self._name(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop_value(), self._pop_value()
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("the pickle names something by what is no name")
        self.stack.append(self._name(module, name))

    def _name(self, module: str, name: str) -> Named:
        self.named.append(Named(module, name))
        return self.named[-1]

    def _extension(self, number: int) -> None:
        self.stack.append(Named("copyreg", f"extension {number}"))

    def _inst(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.stack.append(Thing(self._name(module, name), tuple(self._since_mark())))

    def _obj(self, _: Any) -> None:
        of, *args = self._since_mark() or [None]
        self.stack.append(Thing(of, tuple(args)))

    def _reduce(self, _: Any) -> None:
        args, of = self._pop_value(), self._pop_value()
        self.stack.append(_ordered(args) if _is_ordered(of) else Thing(of, args))

    def _newobj(self, _: Any) -> None:
        args, of = self._pop_value(), self._pop_value()
        self.stack.append(Thing(of, args))

    def _newobj_ex(self, _: Any) -> None:
        named, args, of = self._pop_value(), self._pop_value(), self._pop_value()
        self.stack.append(Thing(of, (args, named)))

    def _build(self, _: Any) -> None:
        state, target = self._pop_value(), self._top()
        if isinstance(target, Thing):  # attributes of a dictionary, as torch gives its state, are left out
            target.state = state

    def _persid(self, key: Any) -> None:
        self.outside.append(Outside(key))
        self.stack.append(self.outside[-1])

    def _binpersid(self, _: Any) -> None:
        self._persid(self._pop_value())


def _is_ordered(of: Any) -> bool:
    return isinstance(of, Named) and (of.module, of.name) == ("collections", "OrderedDict")


def _ordered(args: Any) -> dict[Any, Any]:
    """A dictionary that keeps its order, as all do."""
    pairs = args[0] if isinstance(args, tuple) and len(args) == 1 and isinstance(args[0], list) else []
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise ValueError("the pickle makes a dictionary of what are no pairs")
    return {_key(key): value for key, value in pairs}


def _key(value: Any) -> Any:
    """Keys are hashed: what is deep or odd is so by what it is, not by what it holds."""
    return value if type(value) in _PLAIN else Thing(None, value)
