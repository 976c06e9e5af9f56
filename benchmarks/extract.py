"""What extraction costs: against what no program goes below, against the loop that people write, by codec, by
length and by number of files; what limits it, and where the seconds go.

python benchmarks/extract.py [FOLDER] [--quick] [--only MEASURE] [--part N/M] [--json FILE] [--plots DIR]

FOLDER holds videos: films are made of them, and they are measured themselves. Without one, films are drawn.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.outputs import new_file, new_folder

CACHE = Path(tempfile.gettempdir()) / "cinedex-films"


def main() -> int:
    """Print each figure with its bars; the exit status tells whether all reach what they must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="real videos")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter: minutes in place of an hour")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    parser.add_argument(
        "--only", action="append", default=[], metavar="MEASURE", help="this group of them; may be repeated"
    )
    parser.add_argument(
        "--part",
        type=part_of,
        default="1/1",
        metavar="N/M",
        help="of the clips the N-th of each M: in pieces",
    )
    parser.add_argument(
        "--plots", type=new_folder, metavar="DIR", help="draw cost against number and length there"
    )
    parser.add_argument(
        "--cache", type=new_folder, default=CACHE, help=f"where films are kept (default: {CACHE})"
    )
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # open_clip's, that weights are random

    # Here and not above: each decoder imports this file anew.
    from benchmarks.bench import QUICK, Bench, Sizes
    from benchmarks.clips import clips_of
    from benchmarks.curves import draw
    from benchmarks.figures import Figure, exit_code, table, told, write_json
    from benchmarks.films import Films
    from benchmarks.measures import MEASURES, hold_threads

    if unknown := set(asked.only) - set(MEASURES):
        parser.error(f"--only {unknown.pop()} is none of {', '.join(MEASURES)}")
    if asked.folder and not asked.folder.is_dir():
        return refused(
            f"{asked.folder} is no folder; name one that holds videos, or none to measure drawn films"
        )
    clips = clips_of(asked.folder) if asked.folder else []
    if asked.folder and not clips:
        return refused(f"{asked.folder} holds no video that can be decoded; name a folder that does")
    hold_threads()
    bench = Bench(Films(asked.cache, clips), QUICK if asked.quick else Sizes(), clips[asked.part])
    found: list[Figure] = []
    for name, measure in MEASURES.items():
        if not asked.only or name in asked.only:
            for each in measure(bench):
                told(each)
                found.append(each)
    if asked.plots:
        draw(bench, asked.plots)
    sys.stdout.write(f"\n{table(found)}{''.join(left_out(bench.left_out))}")
    if asked.json:
        write_json(asked.json, found)
    return exit_code(found)


def part_of(text: str) -> slice:
    """Of a list what "2/6" names."""
    first, _, step = text.partition("/")
    if not (first.isdecimal() and step.isdecimal() and 1 <= int(first) <= int(step)):
        raise argparse.ArgumentTypeError(f"{text} is no part, as 2/6 is one")
    return slice(int(first) - 1, None, int(step))


def refused(why: str) -> int:
    """One sentence; the exit status of what cannot be done as asked."""
    sys.stderr.write(f"{why}.\n")
    return 2


def left_out(rows: Mapping[str, str]) -> Iterator[str]:
    """What the table lacks, below it."""
    for why in dict.fromkeys(rows.values()):
        names = "; ".join(name for name, each in rows.items() if each == why)
        yield f"\nNot measured, since {why}: {names}.\n"


if __name__ == "__main__":
    sys.exit(main())
