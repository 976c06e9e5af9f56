"""open_clip, loaded without torch's compiler: two of the libraries below it load that for what we never call,
and it takes two seconds of the processor in each command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
_ABSENT = COMPILER, f"{COMPILER}.utils"  # in this order: the package, and what torchvision names of it
_loading = RLock()


def open_clip() -> Any:
    """The module, with all of its own."""
    with _loading:
        if "open_clip" not in sys.modules:
            with _without_compiler(), suppress(ImportError):  # of what a later version wants at once
                import_module("open_clip")
        return import_module("open_clip")


class _Absent(ModuleType):
    """A module that is loaded when one of its functions is called; until then all of its names are such."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def called(*given: Any, **named: Any) -> Any:
            _forget_absent()
            return getattr(import_module(self.__name__), name)(*given, **named)

        return called


@contextmanager
def _without_compiler() -> Iterator[None]:
    """What asks for the compiler in here gets it later, if it is ever called."""
    compiler: Any = import_module("torch.compiler")
    if COMPILER in sys.modules:
        yield
        return
    disable = compiler.disable  # by which timm takes out some of its functions, and so loads it
    compiler.disable = _unchanged
    sys.modules |= {name: _Absent(name) for name in _ABSENT}
    try:
        yield
    finally:
        compiler.disable = disable
        _forget_absent()


def _forget_absent() -> None:
    for name in _ABSENT:
        if isinstance(sys.modules.get(name), _Absent):
            del sys.modules[name]


def _unchanged(function: Any = None, **named: Any) -> Any:
    """In place of a mark for the compiler, which is not there. Whoever compiles loads it before open_clip."""
    return partial(_unchanged, **named) if function is None else function
