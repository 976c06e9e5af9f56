"""For how long others wait while the server reads a large body.

python benchmarks/bodies.py [--quick] [--mib N]

Bodies are read by `json.loads` and as the server reads them, while another thread does as little as
it can again and again: the longest time between two of its turns is what others wait. CPU seconds of both.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import anyio

from server.bodies import parsed

ROUNDS = 5
OBJECT = json.dumps({"text": "a red circle", "weight": 0.5, "padding": "x" * 60}) + ","


def main() -> int:
    """A line for each kind of body."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mib", type=int, default=4, help="of each body")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    asked = parser.parse_args()
    size, rounds = asked.mib << 20, 1 if asked.quick else ROUNDS
    for name, piece in (("whole numbers", "1,"), ("vectors", "-0.0123456789012345,"), ("objects", OBJECT)):
        body = "[" + piece * (size // len(piece)) + "1]"
        plain_s, plain_cpu = _costs(partial(json.loads, body), rounds)
        ours_s, ours_cpu = _costs(partial(anyio.run, parsed, body), rounds)
        sys.stdout.write(
            f"{name}: others wait {1000 * plain_s:.0f} ms for json.loads, "
            f"{1000 * ours_s:.0f} ms for the server; CPU  {ours_cpu / plain_cpu:.2f} times\n"
        )
    return 0


def _costs(read: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The longest time that another thread waited, and CPU seconds; the least of some rounds."""
    found = [_once(read) for _ in range(rounds)]
    return min(waited for waited, _ in found), min(cpu for _, cpu in found)


def _once(read: Callable[[], object]) -> tuple[float, float]:
    turns, is_over = [time.perf_counter()], threading.Event()

    def tick() -> None:
        while not is_over.wait(0.0005):
            turns.append(time.perf_counter())

    other = threading.Thread(target=tick)
    other.start()
    before = time.process_time()
    read()
    spent = time.process_time() - before
    is_over.set()
    other.join()
    turns.append(time.perf_counter())
    return max(b - a for a, b in pairwise(turns)), spent


if __name__ == "__main__":
    sys.exit(main())
