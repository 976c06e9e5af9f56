"""A training from where it is to its last step: what it tells on the way, and what it keeps."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor

from training.recipe import Recipe
from training.state import State

Shown = TypeVar("Shown")


class Training(Protocol[Shown]):
    """All that a step needs."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def state(self) -> State: ...

    def batch(self, number: int) -> Shown:
        """What a step sees, by its number alone."""
        ...

    def loss(self, batch: Shown, number: int) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Every:
    """So many steps."""

    told: int = 20  # the loss
    saved: int = 200
    probed: int = 500


def step(training: Training[Shown], number: int, batches: Callable[[int], Shown] | None = None) -> float:
    """One; its loss."""
    batch = (batches or training.batch)(number)
    return training.state.learn(lambda: training.loss(batch, number), training.recipe, number)


def run(
    training: Training[Shown],
    folder: Path,
    for_seconds: float,
    probe: Callable[[], Mapping[str, float]],
    every: Every,
    batches: Callable[[int], Shown] | None = None,
) -> None:
    """To the last step, or for so long; then it is kept, and probed if it was not just now. `batches` makes
    what the training's own would, elsewhere."""
    recipe, state, began = training.recipe, training.state, time.monotonic()
    losses: list[float] = []
    while state.step < recipe.steps and time.monotonic() - began < for_seconds:
        losses.append(step(training, state.step, batches))
        if state.step % every.told == 0:
            tell(folder, step=state.step, loss=sum(losses) / len(losses), cpu_s=time.process_time())
            losses = []
        if state.step % every.saved == 0:
            state.save(folder, recipe)
        if state.step % every.probed == 0:
            tell(folder, step=state.step, **probe())
    state.save(folder, recipe)
    if state.step % every.probed:
        tell(folder, step=state.step, **probe())


def tell(folder: Path, **facts: float) -> None:
    """To the log, and to who watches."""
    line = json.dumps({name: round(value, 4) for name, value in facts.items()})
    with (folder / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parser_of(about: str | None, recipe: Recipe) -> argparse.ArgumentParser:
    """What every trainer is asked."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the training's folder")
    parser.add_argument("--steps", type=int, default=recipe.steps, help="of the whole training")
    parser.add_argument("--seed", type=int, default=0, help="another one, other scenes and weights")
    parser.add_argument(
        "--for-seconds", type=float, default=float("inf"), help="stop after so long, and keep"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU where there is one"
    )
    return parser
