"""How many CPUs this process may use: those that it is bound to, and no more than its container is given."""

from __future__ import annotations

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

_ROOT, _GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """One at least; a quota of half a CPU counts as a whole one."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = quota(_ROOT, _GROUPS)
    return bound if given is None else max(1, min(bound, ceil(given)))


def quota(root: Path, groups: Path) -> float | None:
    """The least CPUs that this process' control group, or one above it, is given; None where none says so.

    A container sees its own group as the root, but under version 1 reads the host's name of it.
    """
    found = []
    for controllers, name in _names(groups):
        base = root / "cpu" if controllers else root
        group = Path(name.lstrip("/"))
        for folder in (group, *group.parents):
            found.append(_of_v1(base / folder) if controllers else _of_v2(base / folder))
    return min((each for each in found if each is not None), default=None)


def _names(groups: Path) -> list[tuple[str, str]]:
    """Of those that bound CPU time: the controllers, "" under version 2, and the group's name."""
    with suppress(OSError, UnicodeDecodeError):
        parts = [line.split(":", 2) for line in groups.read_text().splitlines()]
        known = [(part[1], part[2]) for part in parts if len(part) == 3]
        return [(held, name) for held, name in known if not held or "cpu" in held.split(",")]
    return []


def _of_v2(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        most, period = (folder / "cpu.max").read_text().split()
        return None if most == "max" else int(most) / int(period)
    return None


def _of_v1(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        most = int((folder / "cpu.cfs_quota_us").read_text())
        return None if most <= 0 else most / int((folder / "cpu.cfs_period_us").read_text())
    return None
