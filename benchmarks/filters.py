"""What a filter's first use costs beside the search: a bit for each of a million rows, in CPU milliseconds.

python benchmarks/filters.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from core.query import Condition, Where
from core.rules import LiveSource
from core.types import Place
from index import columns, mapped, sources
from index.columns import Columns
from index.filters import Narrowed
from index.live import LivePart, pack
from index.part import ROW, About, Part
from index.sources import Known, Sources

PARTS, TIMES = 20, 7
BARS = {
    "first_ms": Bar("a snapshot's first filter, 100 rows a video", 10.0, 10.0, "lower", "ms"),
    "another_ms": Bar("another one of the same column", 10.0, 5.0, "lower", "ms"),
    "first_of_short_ms": Bar("a snapshot's first filter, 10 rows a video", unit="ms", better="lower"),
    "write_share": Bar("what build writes for them ÷ sources.arrow, CPU seconds", better="lower"),
}
FILTERS = {
    "seconds": Condition("seconds", (("gte", 60), ("lte", 600))),
    "codec": Condition("codec", (("in", ("h264", "av1")),)),
    "path": Condition("path", (("prefix", "films/7/"),)),
    "created": Condition("created", (("gte", "2026-06-01"),)),
    "tags": Condition("metadata.tags", (("eq", "opera"),)),
    "year": Condition("metadata.year", (("gte", 2020),)),
    "title": Condition("metadata.title", (("prefix", "title number 7"),)),
    "start": Condition("start", (("gte", 3),)),
}


def cpu_ms(act: Callable[[], object]) -> float:
    """Of one call: other work on the machine lengthens it little."""
    before = time.process_time()
    act()
    return 1000 * (time.process_time() - before)


def videos(count: int) -> tuple[list[LiveSource], dict[str, Known]]:
    """With places, facts and columns as a library has them."""
    chance = np.random.default_rng(0)
    live, known = [], {}
    for number in range(count):
        place = Place("films", b"%d/%d/video-%d.mp4" % (number % 50, number % 977, number), "1-2")
        tags = [tag for tag in ("opera", "live", "ballet") if chance.random() < 0.3]
        own = {"tags": tags, "year": 1990 + number % 37, "title": f"title number {number}"}
        live.append(LiveSource(f"v-{number:032x}", (place,), own))
        facts = {
            "size": number + 1,
            "seconds": 1.0 + number % 3600,
            "codec": ("h264", "hevc", "av1")[number % 3],
        }
        known[live[-1].id] = Known({**facts, "created": f"2026-{1 + number % 12:02d}-01T12:00:00Z"})
    return live, known


def parts(rows: int, count: int) -> list[LivePart]:
    """So many rows of so many videos, without vectors."""
    found, each = [], count // PARTS
    for lines in np.arange(count, dtype="<i4").reshape(PARTS, each):
        records = np.zeros(rows // PARTS, ROW)
        records["source"] = np.repeat(np.arange(each), len(records) // each)
        records["start"] = np.tile(np.arange(len(records) // each), each)
        about = About("none", "frame", 1, len(records), (), {})
        bits = pack(np.ones(len(records), np.bool_))
        found.append(LivePart(Part(about, None, records, Path()), lines, bits, len(records), len(records)))
    return found


def measure(folder: Path, rows: int, count: int) -> tuple[dict[str, float], dict[str, float], float]:
    """The first and another use of each filter, the median of some times; and the share of writing."""
    live, known = videos(count)
    plain, typed = folder / sources.FILE, folder / columns.FILE
    whole_ms = cpu_ms(lambda: sources.write(plain, live, known))
    share = cpu_ms(lambda: columns.write(typed, live, known)) / whole_ms
    opened, held = Sources.open(plain, mapped.stamp(plain)), parts(rows, count)
    first: dict[str, float] = {}
    another: dict[str, float] = {}
    for name, condition in FILTERS.items():
        where, several = Where(must=(condition,)), []
        for _ in range(TIMES):
            fresh = Columns.open(typed, mapped.stamp(typed), opened)
            unused = [replace(part) for part in held]
            several.append([cpu_ms(partial(narrowed, unused, where, fresh)) for _ in range(2)])
        first[name], another[name] = np.median(several, axis=0).tolist()
    return first, another, share


def narrowed(parts: Sequence[LivePart], where: Where, typed: Columns) -> list[LivePart]:
    """As a snapshot does that is asked for the first time."""
    return Narrowed(where, typed).of("frame", parts, LivePart.kept)


def figures(rows: int) -> list[Figure]:
    """The slowest filter counts, and is named."""
    with tempfile.TemporaryDirectory() as work:
        first, another, share = measure(Path(work), rows, rows // 100)
        short, _, _ = measure(Path(work), rows, rows // 10)
    found = []
    for name, of_each in (("first_ms", first), ("another_ms", another), ("first_of_short_ms", short)):
        slowest = max(of_each, key=of_each.__getitem__)
        found.append(Figure(name, (of_each[slowest],), BARS[name], f"slowest by {slowest}"))
    return [*found, Figure("write_share", (share,), BARS["write_share"])]


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200,000 rows in place of 1,000,000")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    found = figures(200_000 if asked.quick else 1_000_000)
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
