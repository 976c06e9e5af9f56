"""How many pictures a second."""

from __future__ import annotations

import time

import torch

from extractor.encoders.base import Encoder
from extractor.world.drawn import scene
from training.measures.line import Bar, Line
from training.measures.sight import Sight

_BATCH, _SECONDS, _CORES = 64, 3.0, 2


def speed(sight: Sight) -> list[Line]:
    """Decoded pictures to vectors, in batches, by as many threads as torch was given."""
    scenes = [scene(sight.split, sight.seed, number) for number in range(_BATCH)]
    pictures = sight.decoded(scenes)
    _encode(sight.encoder, pictures)  # what is made once
    count, began, worked = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - began) < _SECONDS * min(1.0, sight.size):
        _encode(sight.encoder, pictures)
        count += len(pictures)
    threads = torch.get_num_threads()
    is_fit = threads <= _CORES
    worked = time.process_time() - worked
    note = f"{precision_of(sight.encoder)}, threads: {threads}, {count / worked:.0f} a CPU second"
    note += "" if is_fit else f"; the bar is for {_CORES} cores"
    return [Line("pictures a second", count / seconds, count, Bar(300) if is_fit else None, note)]


@torch.inference_mode()
def _encode(encoder: Encoder, pictures: torch.Tensor) -> None:
    encoder.features(pictures).sum().item()  # waits for a device


def precision_of(encoder: Encoder) -> str:
    """In words."""
    return str(getattr(getattr(encoder, "precision", None), "name", "fp32"))
