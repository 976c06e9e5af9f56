"""Reel names, which an edit decision list has room of eight characters for."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import PurePosixPath

LONGEST = 8
_TAKEN = ("AX", "BL", "BARS")  # not a tape, black, and bars


@dataclass
class Reels:
    """A name for each video, the same in every list but where two would be alike."""

    _of: dict[str, str] = field(default_factory=dict)  # a video's
    _names: set[str] = field(default_factory=lambda: set(_TAKEN))

    def name(self, video_id: str, path: str) -> str:
        """A camera's own name, as A001C003, where the file is called so."""
        if video_id not in self._of:
            self._of[video_id] = next(name for name in _names(video_id, path) if name not in self._names)
            self._names.add(self._of[video_id])
        return self._of[video_id]


def _names(video_id: str, path: str) -> Iterator[str]:
    stem = PurePosixPath(path).stem.upper()
    plain = "".join(each for each in stem if each.isascii() and each.isalnum())
    if 0 < len(plain) <= LONGEST and plain == stem:
        yield plain
    hashed = b32encode(blake2b(video_id.encode(), digest_size=32).digest()).decode().rstrip("=")
    for at in range(len(hashed) - LONGEST):
        yield (plain[:3] + hashed[at:])[:LONGEST]
