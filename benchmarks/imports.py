"""What it costs to load open_clip as we do, beside a plain import of it.

python benchmarks/imports.py [--quick]

Each in a new process, in turns: CPU seconds until the module is there, torch included, and the memory then.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

ROUNDS = 7
TOLD = """
import resource
spent = resource.getrusage(resource.RUSAGE_SELF)
print(spent.ru_utime + spent.ru_stime, spent.ru_maxrss)
"""
WAYS = {
    "plain": "import torch, open_clip",
    "ours": "import torch; from extractor.encoders.quick_import import open_clip; open_clip()",
}


def main() -> int:
    """One line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    rounds = 2 if parser.parse_args().quick else ROUNDS
    found = [{name: _cost(code) for name, code in WAYS.items()} for _ in range(rounds)]
    ratios = sorted(each["ours"][0] / each["plain"][0] for each in found)
    (plain_s, plain_kib), (our_s, our_kib) = (
        [statistics.median(each[name][place] for each in found) for place in (0, 1)] for name in WAYS
    )
    sys.stdout.write(
        f"open_clip is there after {statistics.median(ratios):.2f} × the CPU of a plain import "
        f"({ratios[0]:.2f}–{ratios[-1]:.2f}): {our_s:.2f} s and {plain_s:.2f} s; "
        f"{our_kib / 1024:.0f} MiB of memory and {plain_kib / 1024:.0f} MiB\n"
    )
    return 0


def _cost(code: str) -> tuple[float, int]:
    """CPU seconds and the most KiB of a process that does that."""
    told = subprocess.run([sys.executable, "-c", code + TOLD], check=True, capture_output=True, text=True)
    seconds, kib = told.stdout.split()
    return float(seconds), int(kib) // (1024 if sys.platform == "darwin" else 1)  # which tells bytes


if __name__ == "__main__":
    sys.exit(main())
