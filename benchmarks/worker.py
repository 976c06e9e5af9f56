"""`extract`'s worker and its decoders, run here so that what they cost can be read; beginnings not counted.

The encoder is loaded and each decoder has read some files before the clock starts: what is measured is what
an archive costs, not what starting costs.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.costs import Cost
from core.files import stamp_of
from core.log import Task
from core.store import Store
from core.types import Place, Sampling
from core.writer import Writer
from extractor.encoders import load
from extractor.encoders.base import Encoder, Pace
from extractor.media import fork
from extractor.pipeline import extract
from extractor.usage import cpu_s, kept_loaded
from extractor.work import Committed, Encoded, Job, Report, Work

MODEL = "open_clip:ViT-B-32"
BATCH = 16
_WARM_S = 120.0  # for a decoder that starts


def encoder_of(precision: str, device: str = "cpu", model: str = MODEL) -> Encoder:
    """The model with random weights, which cost what any others do."""
    return load(model, device=device, random_weights=0, pace=Pace(precision))


@dataclass
class Worker:
    """Runs files through the whole of extraction, again and again, each time into a new store."""

    encoder: Encoder
    stills: Sequence[Path]  # of one picture each, a batch of them
    decoders: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)  # of the job

    def __post_init__(self) -> None:
        fork.prepare()

    def run(self, files: Sequence[Path], sampling: Sampling) -> Cost:
        """What these files cost."""
        with tempfile.TemporaryDirectory() as folder, kept_loaded():
            store = Store.create(Path(folder) / "store", self.encoder.spec, sampling)
            try:
                return _Run(self, store, files).cost()
            finally:
                shutil.rmtree(store.root, ignore_errors=True)


class _Clerk(Writer):
    """Commits when it is told to, too."""

    is_hurried = False

    @property
    def due(self) -> bool:
        return super().due or self.is_hurried


class _Run:
    """One: the stills, a commit, the clock, the files."""

    def __init__(self, worker: Worker, store: Store, files: Sequence[Path]) -> None:
        self._worker, self._store, self._files = worker, store, files
        self._clerk = _Clerk(store)
        self._is_warm = threading.Event()
        self._started = self._cpu = self._own = 0.0

    def cost(self) -> Cost:
        pictures, left = 0, len(self._worker.stills)
        parts = dict.fromkeys(("waited_s", "encode_s", "write_s", "held_s"), 0.0)
        for event in self._events():
            match event:
                case Report(outcome=outcome, error=error):
                    assert outcome in ("done", "copy"), error
                    left -= 1
                    self._clerk.is_hurried = left == 0
                case Encoded(count):
                    pictures += count
                case Committed() if not self._is_warm.is_set():
                    self._clerk.is_hurried = False
                    self._is_warm.set()
                case Committed():
                    parts["waited_s"] += event.wait_pictures
                    parts["encode_s"] += event.encode
                    parts["write_s"] += event.write
                    parts["held_s"] += event.wait_encoder
        own = _own_cpu_s() - self._own
        cpu, wall = cpu_s() - self._cpu, time.monotonic() - self._started
        return Cost(cpu, wall, pictures - len(self._worker.stills), cpu - own, **parts)

    def _events(self) -> Iterator[object]:
        worker = self._worker
        job = Job(
            self._store.root,
            worker.encoder.spec.name,
            batch=len(worker.stills),
            decoders=worker.decoders,
            **worker.options,
        )
        yield from extract(job, self._feed(), worker.encoder, self._clerk, threading.Event())

    def _feed(self) -> Iterator[Work]:
        yield from map(_work, self._worker.stills)
        assert self._is_warm.wait(_WARM_S), "the first files are not done"
        self._started, self._cpu, self._own = time.monotonic(), cpu_s(), _own_cpu_s()
        yield from map(_work, self._files)


def _work(path: Path) -> Work:
    place = Place("bench", os.fsencode(path.name), stamp_of(path.stat()))
    return Work(Task(place, 0), os.fsencode(path))


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
