"""What a file's content is called, whatever its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

SAMPLES, SAMPLE_BYTES = 18, 65_536
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: its name by content, and the short cut to it."""

    id: str
    size: int
    samples: str


def content_of(file: bytes, beat: Callable[[], None] = lambda: None) -> Content:
    """The name of a file's content, "v-…", from all its bytes, and the hash of a few. A `beat` a block."""
    digest = blake2b(digest_size=16)
    with open(file, "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        samples = _samples(opened.fileno(), size)
        while block := opened.read(min(_BLOCK_BYTES, size + 1)):
            digest.update(block)
            beat()
    return Content(f"v-{digest.hexdigest()}", size, samples)


def samples_of(file: bytes) -> str:
    """The hash of a few of a file's bytes, which tells nearly all contents apart without reading them."""
    with open(file, "rb", buffering=0) as opened:
        return _samples(opened.fileno(), os.fstat(opened.fileno()).st_size)


def _samples(descriptor: int, size: int) -> str:
    digest = blake2b(str(size).encode(), digest_size=16)
    for i in range(SAMPLES):
        offset = max(0, i * (size - SAMPLE_BYTES) // (SAMPLES - 1))
        digest.update(os.pread(descriptor, SAMPLE_BYTES, offset))
    return digest.hexdigest()
