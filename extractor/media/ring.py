"""Pictures on their way from a decoder's process: a block of memory that both sides map.

Its slots are filled and emptied in order, so that what is said of them is how many.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from extractor.media.picture import Pixels

_MOST_BYTES = 64 << 20  # of one block
_LEAST, _MOST = 2, 16  # slots


def slots_for(size: int, run: int = 1) -> int:
    """How many pictures of that size, or runs of so many, may be on their way: both sides can go on, and who
    waits for the encoder does so soon."""
    return max(_LEAST, min(_MOST, _MOST_BYTES // (run * size * size * 3)))


class Ring:
    """The slots of one block, and which comes next on this side."""

    def __init__(self, descriptor: int, size: int, run: int = 1) -> None:
        shape = (size, size, 3) if run == 1 else (run, size, size, 3)
        self._pixels = np.frombuffer(mmap.mmap(descriptor, 0), np.uint8).reshape(-1, *shape)
        self.count = len(self._pixels)
        self._next = 0

    def put(self, pixels: Pixels) -> None:
        """Fill the next slot."""
        self._pixels[self._next] = pixels
        self._next = (self._next + 1) % self.count

    def take(self) -> Pixels:
        """A copy of the next one, so that the slot is free at once and a dead child takes nothing with it."""
        pixels: Pixels = self._pixels[self._next].copy()
        self._next = (self._next + 1) % self.count
        return pixels


class Handed:
    """A descriptor on its way to a child."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _detached, (DupFd(self._descriptor),)


def _detached(handed: Any) -> int:
    descriptor: int = handed.detach()
    return descriptor


def block(size: int, run: int = 1) -> int:
    """A descriptor of memory without a name: nothing to sweep, whoever dies."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pictures", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, slots_for(size, run) * run * size * size * 3)
    return descriptor
