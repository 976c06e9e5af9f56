"""Draw docs/images/world.jpg: scenes of the sample world at half time, and one motion over its time below."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from extractor.world.drawn import scene
from extractor.world.film import there_and_back
from extractor.world.grounds import GROUNDS, Pixels
from extractor.world.render import render

PICTURE = Path(__file__).parent / "images" / "world.jpg"
SIDE, COLUMNS, ROWS = 96, 10, 3


def sheet() -> Pixels:
    """A column for each ground; the same from run to run."""
    rows = []
    for row in range(ROWS):
        line = []
        for ground in GROUNDS:
            numbers = range(row * 100, row * 100 + 100)
            found = next(each for n in numbers if (each := scene("sample", 9, n)).ground == ground)
            line.append(render(found, [0.5], SIDE)[0])
        rows.append(np.concatenate(line, axis=1))
    motion = render(
        there_and_back("sample", 3, 0, 8.0).shots[0].scene, np.linspace(0, 1, COLUMNS).tolist(), SIDE
    )
    rows.append(np.concatenate(list(motion), axis=1))
    return np.concatenate(rows)


def main() -> int:
    """Write it."""
    Image.fromarray(sheet()).save(PICTURE, quality=88)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
