"""How many cores the encoder computes on."""

from __future__ import annotations

import torch

from core.cpus import usable_cpus


class Cores:
    """Those that no decoder is busy on are the encoder's; one always is. A thread that waits for a core
    lets all others spin."""

    def __init__(self, most: int) -> None:
        """0: torch's threads stay as they are."""
        self._most, self._before = most, torch.get_num_threads()

    def leave(self, busy: int) -> None:
        """Leave so many to decoders."""
        if self._most:
            _set(max(1, self._most - busy))

    def close(self) -> None:
        """As many threads as there were before."""
        _set(self._before)


def bound() -> None:
    """No more than this process' container is given; torch counts the machine's."""
    _set(allowed(usable_cpus()))


def allowed(cores: int) -> int:
    """So many, but no more than the user has told torch, as by OMP_NUM_THREADS; 0 stays."""
    return min(cores, torch.get_num_threads())


def _set(threads: int) -> None:
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
