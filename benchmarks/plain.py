"""The plain loop that people write: every frame decoded, `to_image`, open_clip's transform, fp32 batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import open_clip
import torch
from PIL import Image
from torch import Tensor

from benchmarks.costs import Cost, cost_of
from benchmarks.worker import BATCH, MODEL


class Plain:
    """Its model has random weights too; torch's threads are those of the process."""

    def __init__(self) -> None:
        name = MODEL.partition(":")[2]
        self._model, _, self._transform = open_clip.create_model_and_transforms(name, precision="fp32")
        self._model.eval()
        self.forward_s = 0.0  # of the last run, wall time of one thread

    def run(self, files: Sequence[Path], fps: float) -> Cost:
        """What these files cost, read one after another."""
        self.forward_s = 0.0
        return cost_of(lambda: sum(len(rows) for rows in self._vectors(files, fps)))

    @torch.inference_mode()
    def _vectors(self, files: Sequence[Path], fps: float) -> Iterator[Tensor]:
        batch: list[Any] = []
        for file in files:
            for image in _images(file, fps):
                batch.append(self._transform(image))
                if len(batch) == BATCH:
                    yield self._encoded(batch)
                    batch = []
        if batch:
            yield self._encoded(batch)

    def _encoded(self, batch: Sequence[Tensor]) -> Tensor:
        started = time.monotonic()
        found: Tensor = self._model.encode_image(torch.stack(list(batch)), normalize=True)
        self.forward_s += time.monotonic() - started
        return found


def _images(file: Path, fps: float) -> Iterator[Image.Image]:
    """The first frame at or after each point of the grid, from the first frame on."""
    zero: float | None = None
    point = 0
    try:
        with av.open(str(file)) as container:
            moving = (each for each in container.streams.video if each.frames != 1)
            stream = next(moving, container.streams.video[0])
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream)):
                t = frame.time if frame.time is not None else number / float(stream.average_rate or 25)
                zero = t if zero is None else zero
                if t - zero >= point / fps - 1e-6:
                    yield frame.to_image()  # type: ignore[no-untyped-call]  # PyAV has no types for it
                    point = int((t - zero + 1e-6) * fps) + 1
    except av.error.FFmpegError:  # damaged: what came before counts
        return
