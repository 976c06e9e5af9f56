"""How many threads FAISS computes with."""

from __future__ import annotations

from core.cpus import usable_cpus
from index.faissfile import FAISS


def bound_threads() -> None:
    """It counts the machine's CPUs, whatever its container is given of them."""
    given = usable_cpus()
    if given < FAISS.omp_get_max_threads():
        FAISS.omp_set_num_threads(given)
