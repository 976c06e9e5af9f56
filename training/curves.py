"""The log of a training as a picture: a panel for each figure, over steps.

python -m training.curves FOLDER
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

_WIDTH, _HEIGHT, _EDGE, _COLUMNS = 320, 180, 34, 3
_LINE, _FRAME, _TEXT = (47, 126, 216), (200, 200, 200), (60, 60, 60)
_LEFT_OUT = ("step", "cpu_s")
Points = Sequence[tuple[float, float]]


def curves(log: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
    """Each figure's steps and values; where a training went on from an earlier step, what it did then."""
    found: dict[str, dict[float, float]] = {}
    for line in log:
        facts = json.loads(line)
        for name, value in facts.items():
            if name not in _LEFT_OUT:
                found.setdefault(name, {})[facts["step"]] = value
    return {name: sorted(values.items()) for name, values in found.items()}


def picture(lines: Mapping[str, Points]) -> Image.Image:
    """All panels."""
    rows = -(-len(lines) // _COLUMNS)
    found = Image.new("RGB", (_WIDTH * min(_COLUMNS, len(lines)), _HEIGHT * rows), "white")
    for number, (name, points) in enumerate(lines.items()):
        panel = _panel(name, points)
        found.paste(panel, (number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT))
    return found


def _panel(name: str, points: Points) -> Image.Image:
    """Shares from 0 to 1; what is greater, from 0 to its greatest."""
    panel = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(panel)
    most, last = max(1.0, *(y for _, y in points)), max(1.0, points[-1][0])
    box = (_EDGE, _EDGE, _WIDTH - 12, _HEIGHT - _EDGE)
    draw.rectangle(box, outline=_FRAME)
    draw.text((_EDGE, 10), f"{name}: {points[-1][1]:.3g}", fill=_TEXT)
    draw.text((6, _EDGE - 6), f"{most:.3g}", fill=_TEXT)
    draw.text((6, _HEIGHT - _EDGE - 6), "0", fill=_TEXT)
    draw.text((_WIDTH - 90, _HEIGHT - _EDGE + 8), f"step {last:.0f}", fill=_TEXT)
    at = [
        (box[0] + x / last * (box[2] - box[0]), box[3] - max(y, 0.0) / most * (box[3] - box[1]))
        for x, y in points
    ]
    draw.line(at if len(at) > 1 else at * 2, fill=_LINE, width=2)
    return panel


def main(argv: list[str] | None = None) -> int:
    """FOLDER/curves.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a training")
    folder: Path = parser.parse_args(argv).folder
    with (folder / "log.jsonl").open() as log:
        picture(curves(log)).save(folder / "curves.png", optimize=True)
    sys.stdout.write(f"{folder / 'curves.png'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
