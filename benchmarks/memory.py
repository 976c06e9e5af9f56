"""How much memory a whole extraction takes above what its model takes, children included.

Each is measured in a fresh process, whose memory holds nothing else; shared pages count once (PSS).
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from core.types import Sampling

_EVERY_S = 0.05
_PROC = Path("/proc")


def peak_gib(files: Sequence[Path], stills: Sequence[Path], sampling: Sampling, precision: str = "") -> float:
    """The most at any time above the model's own: of ViT-B-32, without a precision of one without weights."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_peak_gib, files, stills, sampling, precision).result()


def _peak_gib(files: Sequence[Path], stills: Sequence[Path], sampling: Sampling, precision: str) -> float:
    import torch

    from benchmarks.worker import Worker, encoder_of
    from extractor.encoders import load

    torch.set_num_threads(1)
    encoder = encoder_of(precision) if precision else load("toy:rgb")
    with torch.inference_mode():  # what it allocates the first time is its own
        encoder.features(
            torch.zeros(16, encoder.spec.look.size, encoder.spec.look.size, 3, dtype=torch.uint8)
        )
    own = _pss(os.getpid())
    with _Watch() as watch:
        Worker(encoder, stills).run(files, sampling)
    return (watch.peak - own) / 2**30


class _Watch:
    """Looks at this process and at all below it, now and then."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.peak = max(self.peak, sum(map(_pss, _family(os.getpid()))))


def _pss(process: int) -> int:
    """Bytes, a page that several share in equal parts; 0 for one that is gone."""
    with suppress(OSError, StopIteration):
        lines = (_PROC / str(process) / "smaps_rollup").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) << 10
    return 0


def _family(above: int) -> list[int]:
    below: defaultdict[int, list[int]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            below[int((folder / "stat").read_text().rpartition(")")[2].split()[1])].append(int(folder.name))
    found = [above]
    for process in found:
        found.extend(below[process])
    return found
