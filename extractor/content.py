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
        samples = _samples(opened.fileno(), size) if size > SAMPLE_BYTES else ""
        while block := opened.read(min(_BLOCK_BYTES, size + 1)):
            digest.update(block)
            beat()
    name = digest.hexdigest()
    return Content(f"v-{name}", size, samples or name)


def samples_of(file: bytes) -> str:
    """The hash of a few of a file's bytes, which tells nearly all contents apart without reading them."""
    with open(file, "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        if size > SAMPLE_BYTES:
            return _samples(opened.fileno(), size)
    return content_of(file).samples


def _samples(descriptor: int, size: int) -> str:
    """Of a file that is longer than one of them; of others it is the hash of all their bytes."""
    digest = blake2b(str(size).encode(), digest_size=16)
    for i in range(SAMPLES):
        offset = i * (size - SAMPLE_BYTES) // (SAMPLES - 1)
        digest.update(os.pread(descriptor, SAMPLE_BYTES, offset))
    return digest.hexdigest()
