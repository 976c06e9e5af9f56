"""open_clip, loaded without torch's compiler: two of the libraries below it load that for what we never call,
and it takes two seconds of the processor in each command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from importlib import import_module
from inspect import isfunction
from threading import RLock
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_ABSENT = _COMPILER, f"{_COMPILER}.utils"  # in this order: the package, and what torchvision names of it
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
    import torch.compiler

    if _COMPILER in sys.modules:
        yield
        return
    disable = torch.compiler.disable  # timm takes some of its functions out with it, and so loads it
    torch.compiler.disable = partial(_disabled_later, disable)
    sys.modules |= {name: _Absent(name) for name in _ABSENT}
    try:
        yield
    finally:
        torch.compiler.disable = disable
        _forget_absent()


def _forget_absent() -> None:
    for name in _ABSENT:
        if isinstance(sys.modules.get(name), _Absent):
            del sys.modules[name]


def _disabled_later(disable: Callable[..., Any], function: Any = None, *given: Any, **named: Any) -> Any:
    """Nothing is compiled while the compiler is not there."""
    if function is None:
        return partial(_disabled_later, disable, **named)
    if not isfunction(function):
        return disable(function, *given, **named)

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if _COMPILER in sys.modules:
            return disable(function, *given, **named)(*args, **kwargs)
        return function(*args, **kwargs)

    return called
