"""The processor: how much of it a process and all that it started have used, and how politely."""

from __future__ import annotations

import gc
import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _TIMES = 1, slice(11, 15)  # fields behind the name: utime, stime, and those of ended children


def cpu_s() -> float:
    """CPU seconds of this process, of those that it has waited for, and, where the system tells, of those
    that still run."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) + _running_s(os.getpid())


@contextmanager
def kept_loaded() -> Iterator[None]:
    """What is in memory at the beginning stays until the end: libraries and a model, which the collector
    would look through again and again, a tenth of a second each time. What whoever calls this holds so
    already is theirs to let go."""
    gc.collect()
    is_theirs = gc.get_freeze_count() > 0
    if not is_theirs:
        gc.freeze()
    try:
        yield
    finally:
        if not is_theirs:
            gc.unfreeze()  # a process may go on with another model


def be_nice(level: int) -> None:
    """Leave the processor to others, with all threads and whatever they start; never take more of it."""
    if level <= os.getpriority(os.PRIO_PROCESS, 0):
        return
    own = _PROC / "self" / "task"  # where threads have priorities of their own, each is asked
    threads = [int(name) for name in os.listdir(own)] if own.is_dir() else [0]
    for thread in threads:
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread, level)


def _running_s(above: int) -> float:
    below: defaultdict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            below[int(fields[_PARENT])].append(int(folder.name))
            ticks[int(folder.name)] = sum(map(int, fields[_TIMES]))
    total, found = 0, list(below[above])
    while found:
        process = found.pop()
        total += ticks[process]
        found += below[process]
    return total / os.sysconf("SC_CLK_TCK")
