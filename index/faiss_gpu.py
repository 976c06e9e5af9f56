"""Whether the FAISS that is installed can compute on the GPU that is there: tried, in a child."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from index.faissfile import FAISS

_PATIENCE_S = 120  # a driver that compiles for a new card takes its time
_TRIAL = """
import faiss, numpy
rows = numpy.random.default_rng(0).standard_normal((1000, 64)).astype("float32")
plain = faiss.IndexFlatIP(64)
plain.add(rows)
held = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, plain)
same = (held.search(rows[:100], 1)[1] == plain.search(rows[:100], 1)[1]).mean()
assert same > 0.98, f"{same:.2f} of its answers are right"
"""


def trouble(faiss: Any = FAISS, trial: str = _TRIAL) -> str:
    """Why it cannot; "" where it can. A build without code for a card may end its process: not this one."""
    version = f"faiss {faiss.__version__}"
    if not hasattr(faiss, "StandardGpuResources"):
        return f"{version} is built for processors"
    if not faiss.get_num_gpus():
        return f"{version} sees no GPU"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", trial], capture_output=True, text=True, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"{version} does not answer on this GPU within {_PATIENCE_S} s"
    if not done.returncode:
        return ""
    last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
    return f"{version} cannot compute on this GPU: {last[0]}"
