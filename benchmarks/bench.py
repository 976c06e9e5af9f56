"""What `benchmarks/extract.py` measures with: films, clips, models, and how much of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from benchmarks.bars import BARS
from benchmarks.bound import Bound
from benchmarks.clips import length_s
from benchmarks.figures import Figure
from benchmarks.films import Films
from benchmarks.plain import Plain
from benchmarks.worker import BATCH, Worker, encoder_of
from core.types import Sampling
from extractor.encoders.precision import chosen, has_bf16

ONE, TENTH = Sampling(), Sampling(fps=0.1)
NO_CLIPS = "no FOLDER of real videos was given"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    pairs: int = 5
    film_s: int = 120  # of 1080p
    coded_s: int = 60  # of 720p in each other codec
    clips_step: int = 6  # of the real clips every so many-th goes through a model,
    longest_clip_s: float = float("inf")  # if it is no longer,
    planned_step: int = 1  # and every so many-th is decoded
    tiny: int = 10_000
    long_hours: int = 10


QUICK = Sizes(pairs=3, film_s=60, coded_s=30, longest_clip_s=40.0, planned_step=8, tiny=500, long_hours=1)


@dataclass(frozen=True)
class Bench:
    """What is measured, with what."""

    films: Films
    sizes: Sizes
    clips: Sequence[Path] = ()
    precision: str = field(default_factory=lambda: best_precision("cpu"))
    left_out: dict[str, str] = field(default_factory=dict)  # rows, and why
    _models: dict[str, Worker] = field(default_factory=dict)

    def worker(self, precision: str) -> Worker:
        """With one decoder, and an encoder that is loaded once."""
        if precision not in self._models:
            self._models[precision] = Worker(encoder_of(precision), self.stills)
        return self._models[precision]

    def leave_out(self, names: Iterable[str], why: str) -> None:
        """Say so, now and below the table."""
        self.left_out.update((BARS[name].what, why) for name in names)
        say(f"left out: {', '.join(names)}, since {why}")

    @cached_property
    def plain(self) -> Plain:
        return Plain()

    @cached_property
    def bound(self) -> Bound:
        return Bound(self.precision)

    @cached_property
    def stills(self) -> list[Path]:
        return self.films.still(BATCH)

    @cached_property
    def some_clips(self) -> list[Path]:
        """The real clips that go through a model."""
        fit = [path for path in self.clips if length_s(path) <= self.sizes.longest_clip_s]
        return fit[:: self.sizes.clips_step]

    @cached_property
    def film(self) -> Path:
        return self.films.film("h264", 1080, self.sizes.film_s)


def best_precision(device: str) -> str:
    """What "auto" would try there."""
    return chosen("auto", device, has_bf16=has_bf16(torch.device(device)))


Measure = Callable[[Bench], Iterator[Figure]]


def figure(name: str, values: Sequence[float] | float, note: str = "", **amounts: int) -> Figure:
    """One of the table; its row says the amounts that were measured."""
    found = (values,) if isinstance(values, float) else tuple(values)
    bar = BARS[name]
    return Figure(name, found, replace(bar, what=bar.what.format(**amounts)), note)


def say(text: str) -> None:
    """What is no measure but tells what stands behind it."""
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()
