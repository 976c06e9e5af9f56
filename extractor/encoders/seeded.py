"""Weights by chance, the same from the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What is drawn within comes out as after `torch.manual_seed(seed)`; what is drawn later, as ever."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield
