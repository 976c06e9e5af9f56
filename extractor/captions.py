"""Sentences about clips, written while their pictures are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from core.errors import UsageError
from core.types import Line
from extractor.encoders import load_captioner
from extractor.encoders.base import Captioner, Encoder, Pace
from extractor.timed import line_of
from extractor.windows import Row
from extractor.work import Writing

LANGUAGE = "en"  # of all that write
EXAMPLE = "videococa:coca_ViT-L-14/mscoco_finetuned_laion2b_s13b_b90k"
MOST_TOKENS = 128  # pictures whose tokens are stacked at once: of ViT-L-14 a megabyte each
_ALIKE = ("size", "fit", "resize")


@dataclass(frozen=True, slots=True)
class Captions:
    """Who writes, and how carefully."""

    captioner: Captioner
    beams: int = 1
    encoder: Encoder | None = None  # that is another one, and has features of its own
    name: str = ""  # the writer's, which lines are kept with

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """What clips are made of, and last what captions are: perhaps the same."""
        tokens = self.captioner.tokens(pictures)
        return (self.encoder.features(pictures), tokens) if self.encoder else (tokens,)

    def written(self, tokens: Sequence[Tensor], rows: Sequence[Row]) -> list[Line]:
        """A line for each clip of these pictures that something is said of."""
        index = [row.index for row in rows]
        texts = self.captioner.caption(torch.stack(tuple(tokens)), index, beams=self.beams)
        pairs = zip(rows, texts, strict=True)
        lines = [line_of(row.start, row.end, text, LANGUAGE) for row, text in pairs]
        return [replace(line, written_by=self.name) for line in lines if line is not None]


def captions_of(asked: Writing | None, encoder: Encoder, device: str, pace: Pace) -> Captions | None:
    """As they were asked for; a UsageError where that cannot be."""
    if asked is None:
        return None
    if asked.by in ("", encoder.spec.name):
        name = encoder.spec.name
        return Captions(writing(encoder, name), asked.beams, name=name)
    other = load_captioner(asked.by, device=device, pace=pace, download=asked.download)
    _require_same_pictures(encoder, other)
    return Captions(writing(other, asked.by), asked.beams, encoder, other.spec.name)


def writing(encoder: Encoder, name: str) -> Captioner:
    """The same, if it writes."""
    if hasattr(encoder, "caption") and hasattr(encoder, "tokens"):
        return cast(Captioner, encoder)
    raise UsageError(f"--captions: {name} cannot write captions; one that can is {EXAMPLE}.")


def _require_same_pictures(encoder: Encoder, other: Encoder) -> None:
    """Each picture is decoded and resized once."""
    ours, theirs = encoder.spec.look, other.spec.look
    unlike = [name for name in _ALIKE if getattr(ours, name) != getattr(theirs, name)]
    if unlike:
        told = " and ".join(f"{name} {getattr(theirs, name)}, not {getattr(ours, name)}" for name in unlike)
        raise UsageError(
            f"--captions {other.spec.name} wants other pictures than {encoder.spec.name} does: {told}."
        )
