"""How fast the sample world is rendered and described: one process, one thread, CPU seconds.

python benchmarks/world.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.drawn import scene
from extractor.world.grammar import sentence
from extractor.world.render import render

SCENES, QUICK_SCENES = 2_000, 300
ROUNDS = 5
PARTS = [(number + 0.5) / 8 for number in range(8)]
BARS = {
    "frames_64": Bar("clips of 8 pictures of 64 px, 1 to 4 things", 5_000, 5_000, unit="pictures/s"),
    "frames_96": Bar("the same of 96 px", unit="pictures/s"),
    "frames_192": Bar("the same of 192 px, as films are", unit="pictures/s"),
    "stills_64": Bar("single pictures of 64 px", unit="pictures/s"),
    "scenes": Bar("scenes drawn", unit="scenes/s"),
    "captions": Bar("captions written", unit="captions/s"),
}


def figures(count: int) -> list[Figure]:
    """Each measured in some rounds, after one that fills the caches."""
    scenes = [scene("train", 0, number) for number in range(count)]
    chance = Chance(0)
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "frames_64": (8 * count, lambda: [render(each, PARTS, 64) for each in scenes]),
        "frames_96": (8 * count, lambda: [render(each, PARTS, 96) for each in scenes]),
        "frames_192": (8 * (count // 8), lambda: [render(each, PARTS, 192) for each in scenes[: count // 8]]),
        "stills_64": (count, lambda: [render(each, PARTS[2:3], 64) for each in scenes]),
        "scenes": (count, lambda: [scene("train", 1, number) for number in range(count)]),
        "captions": (count, lambda: [sentence(claim(each, chance), chance) for each in scenes]),
    }
    return [Figure(name, rates(*each), BARS[name]) for name, each in work.items()]


def rates(count: int, work: Callable[[], object]) -> tuple[float, ...]:
    """How many of them in a CPU second, round by round."""
    work()
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        found.append(count / (time.process_time() - start))
    return tuple(found)


def main() -> int:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scenes")
    parser.add_argument("--json", type=new_file, help="where the figures go as JSON")
    flags = parser.parse_args()
    return shown(figures(QUICK_SCENES if flags.quick else SCENES), flags.json)


if __name__ == "__main__":
    sys.exit(main())
