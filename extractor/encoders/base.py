"""What an encoder is, and what all of them need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from core.errors import UsageError
from core.types import EncoderSpec, IntArray

if TYPE_CHECKING:
    from torch import Tensor


class Encoder(Protocol):
    """Rows are comparable by inner product, and do not depend on what else is in the batch. Tensors stay on
    the encoder's device.

    Optional beside it: `frames(features, index)`, one row for every entry of every clip; without it a frame
    row is a clip of one.
    """

    spec: EncoderSpec

    def features(self, pictures: Tensor) -> Tensor:
        """uint8 [n, size, size, 3] on any device → [n / pictures_per_feature, …]: computed once a picture."""
        ...

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """Each clip some indices into the features → float32 [len(index), dim]."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """float32 [len(texts), dim]."""
        ...

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which of them are cut."""
        ...


class Captioner(Protocol):
    """Optional beside an encoder."""

    def caption(self, features: Tensor, index: Sequence[IntArray], *, beams: int) -> list[str]:
        """One sentence a clip."""
        ...


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1, float32. Lengths are taken in float64, row by row; a row of zeros stays."""
    import torch

    wide = rows.to(torch.float64)
    lengths = wide.square().sum(dim=-1, keepdim=True).sqrt()
    return (wide / torch.where(lengths > 0, lengths, torch.ones_like(lengths))).to(torch.float32)


def choose_device(asked: str = "auto") -> str:
    """ "auto": a GPU where there is one. Anything else must be there."""
    import torch

    has_gpu = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if has_gpu else "cpu"
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UsageError(f"device {asked!r} is none; 'auto', 'cpu', 'cuda' or 'cuda:1' are.") from error
    if device.type == "cuda" and (not has_gpu or (device.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"device {asked!r} is not on this machine; {_found(torch.cuda.device_count())}.")
    return asked


def _found(count: int) -> str:
    return f"{count} GPU{'s are' if count > 1 else ' is'} found" if count else "no GPU is found"
