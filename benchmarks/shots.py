"""How well shots are found in films whose cuts, fades and dissolves are known, and at what cost; beside
PySceneDetect's AdaptiveDetector (pip install 'cinedex[bench]').

python benchmarks/shots.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.figures import Bar, Figure, exit_code, write_json
from benchmarks.outputs import new_file
from core.types import Look, Sampling
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from tests.extractor import edited
from tests.extractor.edited import FPS, Edited, Joint

F1 = Bar("F1 of shots", 0.95, 0.95, unit="")
FIRST = 100  # number of the first film; ours was tuned on others
FILMS, QUICK_FILMS = 12, 3
JOINTS: tuple[Joint, ...] = ("cut", "cut", "cut", "fade", "dissolve")
MISSING = (
    "PySceneDetect is not installed, so nothing is set beside ours: pip install 'cinedex[bench]', or\n"
    "pip install scenedetect opencv-python-headless; then run this again.\n"
)
Find = Callable[[Path], list[float]]


def films(folder: Path, count: int) -> list[tuple[Path, Edited]]:
    """So many films of eleven shots, 28 to 36 s each."""
    found = []
    for seed in range(FIRST, FIRST + count):
        joints = tuple(np.random.default_rng([seed, 9]).choice(JOINTS, 10).tolist())
        film, path = edited.edited(seed, joints), folder / f"{seed}.mp4"
        write_video(path, edited.frames(film), Encoding(fps=FPS, gop=50, bframes=2, crf=26))
        found.append((path, film))
    return found


def ours(path: Path) -> list[float]:
    """The beginnings of all shots but the first, as a side of decoding at 1 picture a second."""
    with Reader(path, shots=True) as reader:
        for _ in reader.pictures(Sampling(), Look(size=224)):
            pass
        return list(reader.facts.shots[1:])


def bare(path: Path) -> list[float]:
    """The same decoding without looking for shots."""
    with Reader(path) as reader:
        for _ in reader.pictures(Sampling(), Look(size=224)):
            pass
    return []


def theirs(path: Path) -> list[float]:
    """PySceneDetect as it comes."""
    from scenedetect import AdaptiveDetector, detect

    return [scene[0].seconds for scene in detect(str(path), AdaptiveDetector())[1:]]


def measure(find: Find, made: list[tuple[Path, Edited]]) -> tuple[float, dict[str, float], float]:
    """F1, the part found of each kind of change, and CPU seconds for a minute of film."""
    started = _cpu_seconds()
    found = [find(path) for path, _ in made]
    cpu = (_cpu_seconds() - started) / sum(sum(film.seconds) for _, film in made) * 60
    scores = [edited.score(film.changes, each) for (_, film), each in zip(made, found, strict=True)]
    return edited.f1(scores), _recalls(made, found), cpu


def _recalls(made: list[tuple[Path, Edited]], found: list[list[float]]) -> dict[str, float]:
    counts = {joint: [0, 0] for joint in dict.fromkeys(JOINTS)}
    for (_, film), each in zip(made, found, strict=True):
        for change in film.changes:
            hits, missed, _ = edited.score([change], each)
            counts[change.joint][0] += hits
            counts[change.joint][1] += hits + missed
    return {joint: hits / max(1, every) for joint, (hits, every) in counts.items()}


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def main() -> int:
    """Print each figure; the exit status tells whether ours are good enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FILMS} films in place of {FILMS}")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    ways: dict[str, Find] = {"ours": ours, "decoding alone": bare}
    if find_spec("scenedetect") is not None:
        ways["AdaptiveDetector"] = theirs
    else:
        sys.stdout.write(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        made = films(Path(folder), QUICK_FILMS if asked.quick else FILMS)
        found = {name: measure(find, made) for name, find in ways.items()}
    for name, (f1, recalls, cpu) in found.items():
        parts = "  ".join(f"{joint}s {part:.2f}" for joint, part in recalls.items())
        told = "" if ways[name] is bare else f"F1 {f1:.3f}  found: {parts}  "
        sys.stdout.write(f"{name:18} {told}CPU {cpu:.1f} s a minute of film\n")
    figure = Figure("shots_f1", (found["ours"][0],), F1)
    if asked.json:
        write_json(asked.json, [figure])
    return exit_code([figure])


if __name__ == "__main__":
    sys.exit(main())
