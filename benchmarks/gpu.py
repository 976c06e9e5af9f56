"""How much of a GPU's bare rate is left once pictures have to be decoded for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.bare import decode, needed
from benchmarks.bench import ONE, Bench, figure, say
from benchmarks.bound import Bound
from benchmarks.costs import cost_of
from benchmarks.figures import Figure
from benchmarks.worker import Worker, encoder_of
from core.types import Sampling

_MODEL = "open_clip:ViT-L-14"
_BATCH = 64
_BARE_PICTURES = 64 * 64


def gpu(bench: Bench) -> Iterator[Figure]:
    """Rates by the clock on the wall: what it costs is the card."""
    if not torch.cuda.is_available():
        return bench.leave_out(("gpu_clips", "gpu_keyframes"), "there is no GPU")
    cores = len(os.sched_getaffinity(0))
    encoder = encoder_of("auto", "cuda", _MODEL)
    bare = _bare_rate()
    say(f"{torch.cuda.get_device_name()}, {cores} cores; {_MODEL} bare in bf16: {bare:.0f} pictures a second")
    worker = Worker(encoder, bench.films.still(_BATCH), decoders=max(1, cores - 1))
    small = bench.films.copies(bench.films.film("h264", 360, bench.sizes.film_s), 8 * cores)
    large = bench.films.copies(bench.film, 2 * cores)
    yield from _rate("gpu_clips", worker, small, Sampling(fps=8.0), bare)
    yield from _rate("gpu_keyframes", worker, large, Sampling(points="keyframes"), bare)
    film = needed(bench.film, ONE)
    cost = cost_of(lambda: decode(film))
    decoded = cores * film.pictures / cost.cpu_s
    say(f"1080p at 1 fps: at most {decoded:.0f} pictures a second are decoded, {decoded / bare:.0%} of that")


def _rate(
    name: str, worker: Worker, files: Sequence[Path], sampling: Sampling, bare: float
) -> Iterator[Figure]:
    cost = worker.run(files, sampling)
    rate = cost.pictures / cost.wall_s
    waited = cost.waited_s / cost.wall_s
    note = f"{rate:.0f} pictures a second; the encoder waited {waited:.0%} of the time for them"
    yield figure(name, rate / bare, note)


def _bare_rate() -> float:
    bound = Bound("bf16", "cuda", _MODEL, _BATCH)
    bound.forward(_BATCH)
    torch.cuda.synchronize()
    started = time.monotonic()
    bound.forward(_BARE_PICTURES)
    torch.cuda.synchronize()
    return _BARE_PICTURES / (time.monotonic() - started)
