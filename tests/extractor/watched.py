"""A command that runs, and what its processes hold meanwhile: memory and descriptors."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
_EVERY_S = 0.1
_MIB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """One process at one moment."""

    memory_bytes: int  # of its own: what it shares with the server that it was forked from is not its doing
    descriptors: int


@dataclass
class Held:
    """The most that the command, its workers and their decoders held, by role."""

    most: dict[str, Footprint] = field(default_factory=dict)

    def take(self, role: str, look: Footprint) -> None:
        """What one process holds now."""
        before = self.most.get(role, Footprint(0, 0))
        self.most[role] = Footprint(
            max(before.memory_bytes, look.memory_bytes), max(before.descriptors, look.descriptors)
        )

    def __str__(self) -> str:
        return "; ".join(
            f"{role} {look.memory_bytes / _MIB:.0f} MiB, {look.descriptors} descriptors"
            for role, look in self.most.items()
        )


def watch(process: subprocess.Popen[str]) -> Held:
    """Footprint again and again until it ends."""
    held = Held()
    while True:
        for role, pid in _roles(process.pid):
            with suppress(OSError):  # it has just ended
                held.take(role, _look(pid))
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_EVERY_S)
            return held


def _look(pid: int) -> Footprint:
    text = (PROC / str(pid) / "smaps_rollup").read_text()
    kilobytes = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty:"))
    return Footprint(kilobytes << 10, len(os.listdir(PROC / str(pid) / "fd")))


def _roles(command: int) -> Iterator[tuple[str, int]]:
    """The command, its workers, and the forks of their fork servers."""
    below: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):
            below[int((folder / "stat").read_text().rpartition(")")[2].split()[1])].append(int(folder.name))
    yield "command", command
    for worker in below[command]:
        if below[worker]:
            yield "worker", worker
        for server in below[worker]:
            yield from (("decoder", decoder) for decoder in below[server])
