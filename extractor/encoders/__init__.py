"""Encoders by name: `load("family:variant")`. A family is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import EncoderError

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder

GROUP = "cinedex.encoders"

BUILT_IN = {  # family: (module:function, extra to install)
    "toy": ("extractor.encoders.toy:load", ""),
}


def families() -> dict[str, str]:
    """Every family and where its code lies. A stranger cannot shadow a built-in."""
    strangers = {name: point.value for name, point in _strangers().items()}
    return dict(sorted(strangers.items())) | {family: code for family, (code, _) in BUILT_IN.items()}


def load(name: str, *, device: str = "cpu", weights: Path | None = None, **options: object) -> Encoder:
    """The encoder "family:variant"; a family may have a variant of its own choice when none is named."""
    family, _, variant = name.partition(":")
    loader = _loader(family)
    return loader(variant, device, weights, **options)


def _loader(family: str) -> Callable[..., Encoder]:
    if family in BUILT_IN:
        code, extra = BUILT_IN[family]
        module, _, function = code.partition(":")
        try:
            found: Callable[..., Encoder] = getattr(import_module(module), function)
        except ModuleNotFoundError as error:
            if not extra:
                raise
            raise EncoderError(f"{family} needs {error.name}: pip install 'cinedex[{extra}]'.") from error
        return found
    stranger = _strangers().get(family)
    if stranger is None:
        raise EncoderError(f"There is no encoder family {family!r}; there are {', '.join(families())}.")
    try:
        loaded: Callable[..., Encoder] = stranger.load()
    except (ImportError, AttributeError) as error:
        raise EncoderError(f"{family} ({stranger.value}) does not load: {error}.") from error
    return loaded


def _strangers() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}
