"""What no implementation goes below: bare decoding of the packets that are needed, and a bare forward pass.

Nothing is converted, scaled or handed over, and the model gets tensors that are ready. By itself each has the
caches of the processor alone; whoever does both at once, on cores that share them, pays more for either.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from multiprocessing import get_context

import open_clip
import torch

from benchmarks.bare import Needed, decode_all
from benchmarks.costs import Cost, cost_of
from benchmarks.worker import BATCH, MODEL

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Bound:
    """A model with random weights, and pictures for it."""

    def __init__(self, precision: str, device: str = "cpu", model: str = MODEL, batch: int = BATCH) -> None:
        name, dtype = model.partition(":")[2], _DTYPES[precision]
        self._visual = open_clip.create_model(name, precision="fp32").eval().visual.to(device, dtype)
        size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
        self._batch = torch.randn(batch, 3, size, size).to(device, dtype)

    def run(self, files: Sequence[Needed]) -> Cost:
        """Decode them, and then encode as many pictures as are wanted of them."""
        return cost_of(lambda: self._act(files))

    def beside(self, files: Sequence[Needed]) -> Cost:
        """Both at once, in two processes that have nothing to do with each other."""
        started = time.monotonic()
        decoding = self._decoder.submit(_cost_of_decoding, files)
        before, pictures = time.thread_time(), sum(file.pictures for file in files)
        self.forward(pictures)
        forward_s, decoder_s = time.thread_time() - before, decoding.result().cpu_s
        return Cost(forward_s + decoder_s, time.monotonic() - started, pictures, decoder_s)

    @cached_property
    def _decoder(self) -> ProcessPoolExecutor:
        """Once it has read whatever a process reads first."""
        pool = ProcessPoolExecutor(1, get_context("spawn"))
        pool.submit(_cost_of_decoding, ()).result()
        return pool

    def _act(self, files: Sequence[Needed]) -> int:
        decode_all(files)
        pictures = sum(file.pictures for file in files)
        self.forward(pictures)
        return pictures

    @torch.inference_mode()
    def forward(self, pictures: int) -> None:
        """So many, in batches."""
        for first in range(0, pictures, len(self._batch)):
            self._visual(self._batch[: min(len(self._batch), pictures - first)])


def _cost_of_decoding(files: Sequence[Needed]) -> Cost:
    return cost_of(lambda: decode_all(files))
