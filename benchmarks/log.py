"""What the log costs: `todo` against a bare walk, and loading last words against a bare read of them.

python benchmarks/log.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.figures import Bar, Figure, shown
from benchmarks.outputs import new_file
from core.checkpoint import PLACES, WINNERS, Checkpoint, write_checkpoint
from core.log import Log, begin
from core.rules import Entry, LastWords, Word
from extractor.find import Listing, target_of

BARS = {
    "todo_to_bare_walk": Bar("todo over files that are all done ÷ a bare walk", 3.0, 3.0, "lower"),
    "load_to_bare_read": Bar("loading last words ÷ a bare read of their columns", 5.0, 5.0, "lower"),
    "load_peak_megabytes": Bar("memory for that", 100.0, 100.0, "lower", "MB"),
}
PAIRS = 7
FILES = 10_000
PLACE_COLUMNS = ["key", "stamp_key", "source_key", "entry", "verb", "why"]
WINNER_COLUMNS = ["key", "shard_line", "layer_line"]


def cpu_ratio(ours: Callable[[], object], bare: Callable[[], object]) -> float:
    """Median of interleaved pairs, in CPU seconds: other work on the machine lengthens those little."""
    ours(), bare()
    return statistics.median(_cpu_seconds(ours) / _cpu_seconds(bare) for _ in range(PAIRS))


def _cpu_seconds(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


def _bare_walk(folder: bytes) -> int:
    count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(parent, name))
            count += 1
    return count


def measure_todo(work: Path) -> float:
    """A second run over 10,000 files that are all done, log read anew, against a walk and a stat of each."""
    videos = work / "videos"
    for number in range(FILES):
        path = videos / f"{number % 100:02d}" / f"clip {number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_700_000_000, 1_700_000_000))
    log = Log(work / "log")
    log.folder.mkdir()
    begin(log.folder)
    target = target_of(str(videos))
    words = tuple(
        Word("done", place.root, place.path, place.stamp, f"v-{i:032x}")
        for i, place in enumerate(Listing(target))
    )
    holds = tuple((word.source, "visual") for word in words)
    log.append(Entry(2, words, "a-shard", holds=holds))
    log.checkpoint_if_due()
    skipped: Counter[str] = Counter()

    def todo() -> None:
        skipped.clear()
        left = list(Log(log.folder).todo(lambda: Listing(target), skipped=skipped))
        assert not left and skipped["already"] == FILES

    return cpu_ratio(todo, lambda: _bare_walk(os.fsencode(videos)))


def measure_load(work: Path, places: int) -> tuple[float, float]:
    """Opening a checkpoint of so many places, against reading its columns; and the memory it takes."""
    known = LastWords()
    per_entry = 50_000
    for first in range(0, places, per_entry):
        numbers = range(first, min(first + per_entry, places))
        words = [_done(number) for number in numbers]
        holds = tuple((word.source, "visual") for word in words)
        known = known.after([Entry(known.number + 1, tuple(words), f"shard-{first}", holds=holds)])
    path = write_checkpoint(work, known)
    del known
    ratio = cpu_ratio(lambda: Checkpoint.open(path), lambda: _bare_read(path))
    with get_context("spawn").Pool(1) as pool:
        return ratio, pool.apply(_load_megabytes, (path,))


def _done(number: int) -> Word:
    path = b"a folder/of some films/clip number %d.mp4" % number
    return Word("done", "films", path, f"{number * 977}-1700000000{number:09d}", f"v-{number * 7919:032x}")


def _bare_read(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        sections = json.loads(file.schema_arrow.metadata[b"cinedex"])["sections"]
        places = file.read_row_groups(range(*sections[PLACES]), columns=PLACE_COLUMNS)
        winners = file.read_row_groups(range(*sections[WINNERS]), columns=WINNER_COLUMNS)
    return len(places) + len(winners)


def _load_megabytes(path: Path) -> float:
    before = _peak_megabytes()
    kept = LastWords(Checkpoint.open(path))
    assert kept.number
    return _peak_megabytes() - before


def _peak_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1000


def main() -> int:
    """Print each figure with its bar; the exit status tells whether all are within."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 places in place of 1,000,000")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    places = 100_000 if asked.quick else 1_000_000
    with tempfile.TemporaryDirectory() as work:
        todo = measure_todo(Path(work))
        load, megabytes = measure_load(Path(work), places)
    values = {"todo_to_bare_walk": todo, "load_to_bare_read": load, "load_peak_megabytes": megabytes}
    found = [Figure(name, (value,), BARS[name]) for name, value in values.items()]
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
