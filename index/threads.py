"""How many threads FAISS and torch compute with."""

from __future__ import annotations

import os
import sys

from core.cpus import usable_cpus
from index.faissfile import FAISS


def bound_threads() -> None:
    """They count the machine's CPUs, whatever its container is given of them."""
    given = usable_cpus()
    if given < FAISS.omp_get_max_threads():
        FAISS.omp_set_num_threads(given)
    torch = sys.modules.get("torch")  # where an encoder has it; the index needs none
    if torch is not None:
        torch.set_num_threads(min(given, torch.get_num_threads()))
    elif given < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(given))  # which torch reads once it is imported
