"""Points whose picture stands still: left out, the one before standing for their seconds too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from extractor.media.reader import Picture


class Still:
    """Leaves out what differs less than `least` from the last picture kept, but no shot's first."""

    def __init__(self, least: float) -> None:
        self._least = least
        self.count = 0  # left out so far

    def left_out(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """The others, each until the end of those left out behind it."""
        held: Picture | None = None
        for picture in pictures:
            if held is not None and self._is_still(held, picture):
                self.count += 1
                held = replace(held, end=max(held.end, picture.end))
                continue
            if held is not None:
                yield held
            held = picture
        if held is not None:
            yield held

    def _is_still(self, kept: Picture, picture: Picture) -> bool:
        if not self._least or picture.shot != kept.shot:
            return False
        return difference(kept.pixels, picture.pixels) < self._least


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The mean of how far apart their levels are, over all colours; 1 is white against black."""
    return float(np.abs(one.astype(np.int16) - other).mean()) / 255
