"""What an encoder is, and what all of them need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.query import Value
from core.types import EncoderSpec, Float32Array, IntArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Pace:
    """How pictures are to be encoded, which is no part of what their vectors are. A family whose `load` has a
    parameter of that name, `pace`, is told."""

    precision: str = "auto"  # or fp32, bf16, fp16
    compiled_for: int = 0  # pictures a batch; 0: not compiled


EXACT = Pace("fp32")


class Encoder(Protocol):
    """Rows are comparable by inner product, and do not depend on what else is in the batch. Tensors stay on
    the encoder's device.

    Optional beside it: what `Contextual` has; without it a frame row is a clip of one.
    `precision`, a `Precision`: what its pictures are computed in, settled at the latest
    when one was. `logit_scale`, a float: by what its scores were multiplied before the softmax it was trained
    with.
    """

    spec: EncoderSpec

    def features(self, pictures: Tensor) -> Tensor:
        """uint8 [n, size, size, 3] on any device → [n / pictures_per_feature, …]: computed once a picture."""
        ...

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """Each clip some indices into the features → float32 [len(index), dim]."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """float32 [len(texts), dim]; a NoTextsError where it reads none, and why."""
        ...

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which of them are cut."""
        ...


@dataclass(frozen=True, slots=True)
class Around:
    """How far an encoder looks around a point: runs of so many, that begin every `step` of them."""

    points: int
    step: int


class Contextual(Protocol):
    """Optional beside an encoder: the row of a frame says what happens then, seen among what is around it. It
    is the mean of what the runs that hold it make of it."""

    around: Around

    def frames(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """Runs of features → float32 [entries of all of them, dim]."""
        ...


def around_of(encoder: Encoder) -> Around | None:
    """None: its frame rows are clips of one."""
    found: Around | None = getattr(encoder, "around", None)
    return found


class Adjustable(Protocol):
    """Optional beside an encoder: scores that are made otherwise by another query over the same rows."""

    options: Mapping[str, str]  # what can be chosen, and of what, for people

    def adjusted(self, queries: Float32Array, chosen: Mapping[str, Value]) -> Float32Array:
        """[n, dim] → [n, dim]; a UsageError for a value that cannot be. All names are among the options."""
        ...


class Selective(Protocol):
    """Optional beside an encoder: it reads known words alone, so that a text may say nothing to it."""

    def known(self, texts: Sequence[str]) -> list[bool]:
        """Which have a word that it knows."""
        ...


def unknown_to(encoder: Encoder, texts: Sequence[str]) -> tuple[str, ...]:
    """Those that say nothing to it, each once."""
    known = getattr(encoder, "known", None)
    if known is None or not texts:
        return ()
    once = [*dict.fromkeys(texts)]
    return tuple(text for text, is_known in zip(once, known(once), strict=True) if not is_known)


class Captioner(Protocol):
    """Optional beside an encoder: it writes. Its `clips` takes tokens in place of features, so that each
    picture goes through its tower once for both."""

    def tokens(self, pictures: Tensor) -> Tensor:
        """As `features`, but what captions are made of, which may be much more."""
        ...

    def caption(self, tokens: Tensor, index: Sequence[IntArray], *, beams: int) -> list[str]:
        """One sentence a clip: the likeliest word each time, or the best of so many sentences."""
        ...


def frame_rows(
    encoder: Contextual, features: Tensor, runs: Sequence[IntArray], index: Sequence[IntArray]
) -> Tensor:
    """float32 [len(index), dim]: each the mean of some entries of all runs, one behind the other."""
    import torch

    states = encoder.frames(features, runs)
    counts = torch.tensor([len(entries) for entries in index])
    owners = torch.repeat_interleave(torch.arange(len(index)), counts).to(states.device)
    entries = torch.cat([torch.from_numpy(each) for each in index]).to(states.device)
    sums = states.new_zeros(len(index), states.shape[1]).index_add_(0, owners, states[entries])
    return sums / counts.to(states.device, states.dtype)[:, None]


def characters(text: str) -> str:
    """What is no character (half a surrogate pair, of a shell's bytes) becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def means(features: Tensor, index: Sequence[IntArray]) -> Tensor:
    """float64: the mean of the rows of each clip, of which there is one at least."""
    import torch

    found = features[torch.tensor([rows[0] for rows in index], device=features.device)].double()
    for line, rows in enumerate(index):
        if len(rows) > 1:  # most are of one
            found[line] = features[torch.from_numpy(rows).to(features.device)].double().mean(dim=0)
    return found


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1, float32. Lengths are taken in float64, row by row; a row of zeros stays."""
    import torch

    wide = rows.to(torch.float64)
    lengths = wide.square().sum(dim=-1, keepdim=True).sqrt()
    return (wide / torch.where(lengths > 0, lengths, torch.ones_like(lengths))).to(torch.float32)
