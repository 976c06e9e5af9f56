"""What a pickle asks to be run that can run anything: told by its names, of which none is looked up."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from core.errors import EncoderError
from extractor.encoders import pickles
from extractor.encoders.pickles import Named

_PACKAGES = {"subprocess", "pty", "runpy", "ctypes", "importlib", "marshal", "timeit", "webbrowser", "shutil"}
_OF_BUILTINS = ("exec", "eval", "compile", "__import__", "open", "breakpoint")
_OF_OS = ("system", "popen", "exec", "spawn", "posix_spawn", "fork", "startfile")
_OF_PICKLE = ("load", "_load", "Unpickler", "_Unpickler")
_FUNCTIONS = {  # how those begin that run anything, by where they are
    **dict.fromkeys(("builtins", "__builtin__"), _OF_BUILTINS),
    **dict.fromkeys(("os", "posix", "nt"), _OF_OS),
    **dict.fromkeys(("pickle", "_pickle"), _OF_PICKLE),
}
_MOST_SHOWN = 100


def runner(named: Iterable[Named]) -> str:
    """The first of what is named that runs whatever it is given, or ""."""
    return next((_shown(each) for each in named if _runs(each)), "")


def asks(path: Path, name: str, *, has_tensors: bool = False, what: str = "tensors") -> EncoderError:
    """One sentence; has_tensors: some can be taken out all the same. what: it should have held."""
    if has_tensors:
        return EncoderError(
            f"{path} asks to run {name}, and is not unpickled; "
            f"`cinedex convert {path} --to FILE.safetensors` takes out its tensors and runs nothing."
        )
    return EncoderError(
        f"{path} asks to run {name}, and holds no {what} that could be taken out; "
        "it is not unpickled, and nothing of it was run."
    )


def runner_at_the_beginning(head: bytes) -> str:
    """Of what a file begins with, if it is a pickle of one of the old kinds that no magic number tells."""
    return runner(pickles.named(BytesIO(head)))


def _runs(named: Named) -> bool:
    *within, function = named.name.split(".")
    owner = within[-1] if within else named.module  # a module may hold another, as torch does os
    is_known = not _PACKAGES.isdisjoint((named.module.partition(".")[0], *within))
    return is_known or function.startswith(_FUNCTIONS.get(owner, ()))


def _shown(named: Named) -> str:
    text = str(named)[:_MOST_SHOWN]
    return "".join(each if each.isprintable() else "?" for each in text.removeprefix("__builtin__."))
