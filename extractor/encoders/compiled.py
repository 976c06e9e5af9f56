"""A tower through torch.compile: once, for batches of one size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.errors import EncoderError

Encode = Callable[[Tensor], Tensor]


def compiled(encode: Encode, sample: Tensor) -> Encode:
    """The same, compiled now for batches like the sample. Smaller ones are filled up: each other size would
    be compiled anew, which takes longer than the pictures."""
    from torch._inductor import config

    quick = torch.compile(encode, dynamic=False)
    try:
        with config.patch(compile_threads=torch.get_num_threads()):
            quick(sample)
    except (RuntimeError, OSError, ImportError) as error:  # what torch's compilers raise where they are not
        raise EncoderError(
            f"--compile finds no compiler that works ({_line(error)}); leave it out."
        ) from error
    return lambda pictures: in_batches(quick, len(sample), pictures)


def in_batches(encode: Encode, count: int, pictures: Tensor) -> Tensor:
    """Always so many at once; what is too few is filled up, and the rest of its rows left out."""
    rows = []
    for first in range(0, max(1, len(pictures)), count):
        batch = pictures[first : first + count]
        filling = batch.new_zeros(count - len(batch), *batch.shape[1:])
        rows.append(encode(torch.cat([batch, filling]))[: len(batch)])
    return torch.cat(rows)


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return (text[0].rstrip(".") if text else "") or type(error).__name__
