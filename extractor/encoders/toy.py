"""An encoder without weights: videos and texts meet in the space of colours.

A picture is how much of each of twelve colours it shows, bright colours weighing more than greys; a text is
the colours it names. All sums are of whole numbers, so a vector depends on nothing but its own pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import EncoderError
from core.types import EncoderSpec, IntArray, Look
from extractor.encoders.base import unit
from extractor.encoders.devices import choose_device

COLOURS = {  # and the words that mean them
    "red": "red reddish crimson scarlet ruby cherry blood vermilion",
    "orange": "orange amber tangerine apricot",
    "yellow": "yellow yellowish golden gold lemon blond blonde",
    "green": "green greenish emerald lime olive mint grass forest",
    "cyan": "cyan turquoise teal aqua",
    "blue": "blue bluish navy azure cobalt sky sea ocean",
    "purple": "purple violet indigo lavender lilac",
    "pink": "pink pinkish magenta fuchsia rose",
    "brown": "brown brownish chocolate tan wooden coffee",
    "white": "white whitish snow snowy ivory pale",
    "grey": "grey gray greyish grayish silver ash",
    "black": "black blackish dark night ebony",
}
NAMES = tuple(COLOURS)

_INDEX = {word: number for number, words in enumerate(COLOURS.values()) for word in words.split()}
_HUES = {  # where each ends, in degrees; red again behind the last
    14: "red",
    42: "orange",
    68: "yellow",
    160: "green",
    200: "cyan",
    258: "blue",
    292: "purple",
    340: "pink",
}
_BITS = 5  # of each channel that tell colours apart
_GREY_CHROMA = 0.16
_VARIANT = "rgb"

Floats = NDArray[np.float64]


class Toy:
    """Twelve numbers a picture."""

    def __init__(self, device: str, look: Look) -> None:
        self.spec = EncoderSpec(name=f"toy:{_VARIANT}", dim=len(NAMES), look=look)
        self._device = torch.device(device)
        colour, weight = _tables()
        self._colour = torch.from_numpy(colour).to(self._device)
        self._weight = torch.from_numpy(weight).to(self._device)

    def features(self, pictures: Tensor) -> Tensor:
        """int64 [n, 12]: the weight of each colour."""
        levels = pictures.to(self._device).flatten(1, 2).long() >> (8 - _BITS)
        codes = (levels[..., 0] << 2 * _BITS) | (levels[..., 1] << _BITS) | levels[..., 2]
        sums = torch.zeros(len(codes), len(NAMES), dtype=torch.int64, device=self._device)
        return sums.scatter_add_(1, self._colour[codes], self._weight[codes])

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """The colours of all its pictures."""
        sums = [features[torch.from_numpy(rows).to(features.device)].sum(dim=0) for rows in index]
        return unit(torch.stack(sums)) if sums else self._none()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """The colours that are named; a text that names none is a little like everything."""
        counts = [_named(text) or [1] * len(NAMES) for text in texts]
        return unit(torch.tensor(counts, device=self._device)) if counts else self._none()

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """None is."""
        return [False] * len(texts)

    def _none(self) -> Tensor:
        return torch.empty(0, len(NAMES), device=self._device)


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    look: Mapping[str, str] = MappingProxyType({}),
    **options: object,
) -> Toy:
    """The one variant, "rgb"; it takes no weights, and no option but a look."""
    if variant not in ("", _VARIANT):
        raise EncoderError(f"toy has no variant {variant!r}; it has {_VARIANT!r}.")
    if weights is not None:
        raise EncoderError(f"toy has no weights, but was given {weights}; leave them out.")
    if options:
        raise EncoderError(f"toy takes no options, but was given {', '.join(sorted(options))}.")
    return Toy(choose_device(device), Look(size=32).but(look))


def _named(text: str) -> list[int]:
    found = [_INDEX[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _INDEX]
    return np.bincount(found, minlength=len(NAMES)).tolist() if found else []


def _tables() -> tuple[IntArray, IntArray]:
    """Colour and weight of every code of `_BITS` a channel: 1 for greys, up to 17 for the most vivid."""
    side = 1 << _BITS
    levels = (np.indices((side, side, side)).reshape(3, -1) + 0.5) / side
    value, chroma = levels.max(axis=0), np.ptp(levels, axis=0)
    is_grey = chroma < _GREY_CHROMA
    name = np.where(is_grey, _grey(value), _vivid(levels))
    weight = np.where(is_grey, 1, 1 + np.rint(16 * chroma))
    return np.vectorize(NAMES.index, otypes=[np.int64])(name), weight.astype(np.int64)


def _grey(value: Floats) -> NDArray[np.str_]:
    return np.select([value < 0.25, value > 0.78], ["black", "white"], "grey")


def _vivid(levels: Floats) -> NDArray[np.str_]:
    """By hue; dark orange is called brown, and light red pink."""
    hue, value = _hue(levels), levels.max(axis=0)
    name = np.array([*_HUES.values(), "red"])[np.searchsorted([*_HUES], hue, side="right")]
    is_dark, is_light = value < 0.65, levels.min(axis=0) > 0.5
    return np.select([(name == "orange") & is_dark, (name == "red") & is_light], ["brown", "pink"], name)


def _hue(levels: Floats) -> Floats:
    """Degrees: red 0, green 120, blue 240."""
    red, green, blue = levels
    value, chroma = levels.max(axis=0), np.ptp(levels, axis=0)
    safe = np.where(chroma > 0, chroma, 1)
    sixths = np.select(
        [value == red, value == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    degrees: Floats = sixths * 60
    return degrees
