"""An encoder for Cinedex from outside: how light, colourful, detailed and moving a clip is, and words for it.

Each quality is two numbers of a row, how much of it there is and how much there is not; a text is the sides
that it names. What moves is told by the differences from picture to picture, so that order counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.errors import EncoderError
from core.types import EncoderSpec, IntArray, Look, Sampling
from extractor.encoders.base import unit
from extractor.encoders.devices import choose_device

SIDES = {  # of each quality the side without it, then the side with it; and the words that mean them
    "dark": "dark dim night black shadow",
    "light": "light bright day sunny white",
    "grey": "grey gray colourless monochrome",
    "colourful": "colourful colorful vivid bright-coloured",
    "plain": "plain empty smooth blurred",
    "detailed": "detailed busy crowded sharp",
    "still": "still static calm quiet motionless",
    "moving": "moving motion fast quick action",
}
DIM = len(SIDES)
SIZE = 64
SMALL = 16  # of the picture that is compared with the next one
MOST = 0.25  # a difference of so much, of the whole range of grey, and all is moving
VARIANT = "light"

_INDEX = {word: number for number, words in enumerate(SIDES.values()) for word in words.split()}


class Motion:
    """Eight numbers a clip."""

    def __init__(self, device: str) -> None:
        self.spec = EncoderSpec(
            name=f"motion:{VARIANT}",
            dim=DIM,
            look=Look(size=SIZE, fit="squash"),
            sampling=Sampling(fps=4.0, clip_seconds=4.0, stride_seconds=2.0),
        )
        self._device = torch.device(device)

    def features(self, pictures: Tensor) -> Tensor:
        """[n, 3 + 16 · 16]: light, colour, detail, and the picture in small; all from 0 to 1."""
        colours = pictures.to(self._device).float() / 255
        grey = colours.mean(dim=-1)
        vivid = (colours.amax(dim=-1) - colours.amin(dim=-1)).mean(dim=(1, 2))
        edges = (grey.diff(dim=1).abs().mean(dim=(1, 2)) + grey.diff(dim=2).abs().mean(dim=(1, 2))) / 2
        side = SIZE // SMALL
        small = grey.reshape(-1, SMALL, side, SMALL, side).mean(dim=(2, 4))
        facts = torch.stack([grey.mean(dim=(1, 2)), vivid, (edges * 8).clamp(max=1)], dim=1)
        return torch.cat([facts, small.flatten(1)], dim=1)

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """The mean of the pictures' facts, and what changes from each to the next."""
        if not len(index):
            return torch.empty(0, DIM, device=self._device)
        return torch.stack([self._clip(features[torch.from_numpy(rows)]) for rows in index])

    def _clip(self, run: Tensor) -> Tensor:
        moving = run[:, 3:].diff(dim=0).abs().mean() / MOST if len(run) > 1 else run.new_zeros(())
        there = torch.cat([run[:, :3].mean(dim=0), moving.clamp(max=1)[None]])
        return unit(torch.stack([1 - there, there], dim=1).flatten()[None])[0]

    def texts(self, texts: Sequence[str]) -> Tensor:
        """The sides that are named; a text that names none is a little like everything."""
        rows = torch.zeros(len(texts), DIM, device=self._device)
        for row, text in zip(rows, texts, strict=True):
            named = [_INDEX[word] for word in re.findall(r"[a-z-]+", text.lower()) if word in _INDEX]
            for number in named or range(DIM):
                row[number] += 1
        return unit(rows)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """None is."""
        return [False] * len(texts)


def load(variant: str, device: str, weights: Path | None, **options: object) -> Motion:
    """What the entry point names. There is one variant, and nothing else to choose."""
    if variant not in ("", VARIANT):
        raise EncoderError(f"motion has no variant {variant!r}; it has {VARIANT!r}.")
    if weights is not None or options:
        raise EncoderError("motion takes no weights and no options; leave them out.")
    return Motion(choose_device(device))
