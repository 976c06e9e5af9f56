"""Whether what begins as a JPEG is a film of them: raw MJPEG has no header of its own."""

from __future__ import annotations

import re
from pathlib import Path

_MOST_BYTES = 16 << 20  # in which two pictures of a film lie
_START = b"\xff\xd8"
_SOI, _EOI, _APP2 = 0xD8, 0xD9, 0xE2
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments that say height and width
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)  # what ends coded pictures' data
_SEVERAL = b"MPF\0"  # a photo's index of its other views, as depth, brightness or the other eye


def is_film(path: Path) -> bool:
    """Whether a second picture of the same size stands right behind the first, and the first is not the head
    of a photo in several parts."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES)
    if (first := _picture(data, 0)) is None:
        return False
    start = data.find(_START, first[1])
    if start < 0 or data[first[1] : start].strip(b"\0\xff"):
        return False
    second = _picture(data, start)
    return second is not None and second[0] == first[0]


def _picture(data: bytes, start: int) -> tuple[bytes, int] | None:
    """Height and width, and where the picture ends."""
    if not data.startswith(_START, start):
        return None
    at, size = start + 2, b""
    while (found := _MARKER.search(data, at)) and (kind := data[found.start() + 1]) not in (_SOI, _EOI):
        at = found.start() + 2
        length = int.from_bytes(data[at : at + 2])
        if kind == _APP2 and data[at + 2 : at + 6] == _SEVERAL:
            return None
        if kind in _SIZES:
            size = data[at + 3 : at + 7]
        at += max(2, length)
    return (size, found.end()) if found and kind == _EOI and size else None
