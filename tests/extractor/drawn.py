"""Pictures that carry their own number, so that a decoded one says which it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from extractor.media.picture import Pixels

SIDE = 128  # of the square picture
_CELLS = 4  # in each direction: 12 bits of the number, then 4 that check them
_CELL = SIDE // _CELLS


def numbered(count: int) -> Iterator[Pixels]:
    """Pictures 0, 1, 2, … as black and white blocks."""
    for number in range(count):
        bits = [number >> i & 1 for i in range(12)]
        bits += [sum(bits[i::4]) % 2 for i in range(4)]
        blocks = np.array(bits, np.uint8).reshape(_CELLS, _CELLS)
        picture = np.kron(blocks, np.full((_CELL, _CELL), 215, np.uint8)) + np.uint8(20)
        yield np.repeat(picture[..., None], 3, axis=2)


def number_of(pixels: Pixels) -> int:
    """The number a picture carries, however it was scaled."""
    size = len(pixels)
    middles = (np.arange(_CELLS) * 2 + 1) * size // (2 * _CELLS)
    bits = [int(value) for value in (pixels[np.ix_(middles, middles)].mean(axis=2) > 128).ravel()]
    assert bits[12:] == [sum(bits[:12][i::4]) % 2 for i in range(4)], "the picture is no numbered one"
    return sum(bit << i for i, bit in enumerate(bits[:12]))


def corners(height: int = 96, width: int = 128) -> Pixels:
    """Red, green, blue and white in the corners, from the upper left one on by rows."""
    picture = np.full((height, width, 3), 20, np.uint8)
    top, left = slice(0, height // 3), slice(0, width // 3)
    bottom, right = slice(-(height // 3), None), slice(-(width // 3), None)
    for rows, columns, colour in (
        (top, left, (220, 30, 30)),
        (top, right, (30, 200, 30)),
        (bottom, left, (30, 30, 220)),
        (bottom, right, (230, 230, 230)),
    ):
        picture[rows, columns] = colour
    return picture


def corner_colours(pixels: Pixels) -> str:
    """The same read back: "rgbw" where nothing was turned."""
    size = len(pixels)
    near, far = size // 6, size - 1 - size // 6
    found = ""
    for row, column in ((near, near), (near, far), (far, near), (far, far)):
        strong = "".join(str(int(v)) for v in pixels[row, column] > 128)
        found += {"100": "r", "010": "g", "001": "b", "111": "w"}.get(strong, "?")
    return found
