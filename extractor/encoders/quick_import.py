"""open_clip, loaded without torch's compiler: two of the libraries below it load that for what we never call,
and it takes two seconds of the processor in each command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
_ABSENT = COMPILER, f"{COMPILER}.utils"  # in this order: the package, and what torchvision names of it
_FUNCTION = "is_compile_supported"
_ASKING = "torchvision", "timm"  # the latter marks functions of its own
_loading = RLock()


def open_clip() -> Any:
    """The module, with all of its own."""
    with _loading:
        if "open_clip" not in sys.modules and COMPILER not in sys.modules:
            with _without_compiler():
                for name in _ASKING:
                    with suppress(Exception):  # of what a later version wants at once: it has it below
                        import_module(name)
        return import_module("open_clip")


def load_compiler() -> None:
    """Before open_clip, for who compiles: else nothing says to it what it is to leave out."""
    import_module(COMPILER)


class _Absent(ModuleType):
    """A module that is loaded when its one function is called."""

    def __getattr__(self, name: str) -> Any:
        if name != _FUNCTION:
            raise AttributeError(f"{self.__name__} has no {name} yet")

        def called(*given: Any, **named: Any) -> Any:
            return getattr(import_module(self.__name__), name)(*given, **named)

        return called


@contextmanager
def _without_compiler() -> Iterator[None]:
    """What asks for the compiler in here gets it later, if it is ever called."""
    compiler: Any = import_module("torch.compiler")
    disable = compiler.disable
    compiler.disable = _unchanged
    absent = {name: sys.modules.setdefault(name, _Absent(name)) for name in _ABSENT}
    try:
        yield
    finally:
        compiler.disable = disable
        for name, module in absent.items():
            if isinstance(module, _Absent):
                del sys.modules[name]


def _unchanged(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """In place of a mark for the compiler, which is not there."""
    return _unchanged if fn is None else fn
