"""Train `starter`: pictures and texts of the sample world in one space.

python -m training.starter --out DIR [--steps N] [--seed N] [--for-seconds S] [--device D]

Cut off, it goes on where it was when run again with the same words.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from core.errors import UsageError
from extractor.encoders.devices import choose_device
from extractor.world.chance import Chance
from extractor.world.lexicon import words
from training.bank import everyday
from training.batches import Batch, grouped, pictures
from training.coded import coded_pictures
from training.gallery import HARD
from training.model import Heads, contrast, device_of, input_of, make, seen_places, texts
from training.probe import known, probed
from training.recipe import Recipe
from training.state import State, begun, under
from training.vocabulary import write_vocabulary

_TOLD, _SAVED, _PROBED = 20, 200, 500  # steps
_STILL_GROUPS = tuple(attribute for attribute in HARD if attribute != "direction")


@dataclass(frozen=True, slots=True)
class Training:
    """All that a step needs."""

    recipe: Recipe
    model: CLIP
    heads: Heads
    state: State
    tokenizer: SimpleTokenizer

    def step(self, number: int) -> float:
        """One; its loss."""
        batch = self.batch(number)
        return self.state.learn(lambda: self.loss(batch, number), self.recipe, number)

    def is_warm(self, number: int) -> bool:
        """Whether texts have their turn."""
        return number >= self.recipe.warm_share * self.recipe.steps

    def batch(self, number: int) -> Batch:
        """What a step sees, by its number alone."""
        recipe, chance = self.recipe, Chance("batch", self.recipe.seed, number)
        if chance.yes(recipe.coded_share):
            return coded_pictures("train", recipe.seed, number, recipe.batch, recipe.side)
        if self.is_warm(number) and chance.yes(recipe.grouped_share):
            return grouped("train", recipe.seed, number, recipe.side, _STILL_GROUPS, 1, recipe.batch)
        alone = recipe.alone_share if not self.is_warm(number) else 0.0
        return pictures("train", recipe.seed, number, recipe.batch, recipe.side, alone)

    def loss(self, batch: Batch, number: int) -> Tensor:
        """Of the heads, and of texts when it is their turn."""
        seen = input_of(batch.pictures[:, 0], device_of(self.heads))
        seen = seen.contiguous(memory_format=torch.channels_last)
        vectors, places = seen_places(self.model, seen)
        known = self.heads.loss(vectors.float(), places.float(), batch.labels)
        if not self.is_warm(number):
            return known
        outside = everyday("train", self.recipe.seed + number, self.recipe.outside)
        said = texts(self.model, self.tokenizer(batch.captions + outside, self.recipe.context))
        scale = self.model.logit_scale
        told = contrast(vectors, said, scale, batch.groups, self.recipe.batch_weight)
        return told + self.recipe.heads_weight * known


def prepared(folder: Path, recipe: Recipe, device: str = "cpu") -> Training:
    """New, or where it was, on whichever device that was."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = write_vocabulary(folder / "bpe.txt.gz", words() | {",", ":", "-"})
    config = recipe.config(pieces)
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    model = make(config, recipe.seed).to(device)
    model.visual.to(memory_format=torch.channels_last)
    heads = Heads(recipe.dim, recipe.width * 16).to(device)
    state = begun(nn.ModuleDict({"clip": model, "heads": heads}), recipe)
    state.load(folder, recipe)
    tokenizer = SimpleTokenizer(bpe_path=str(folder / "bpe.txt.gz"), context_length=recipe.context)
    return Training(recipe, model, heads, state, tokenizer)


def train(folder: Path, recipe: Recipe, for_seconds: float, device: str = "cpu") -> None:
    """To the last step, or for so long."""
    training = prepared(folder, recipe, device)
    state, began = training.state, time.monotonic()
    training.model.train()
    losses: list[float] = []
    while state.step < recipe.steps and time.monotonic() - began < for_seconds:
        losses.append(training.step(state.step))
        if state.step % _TOLD == 0:
            tell(folder, step=state.step, loss=sum(losses) / len(losses), cpu_s=time.process_time())
            losses = []
        if state.step % _SAVED == 0:
            state.save(folder, recipe)
        if state.step % _PROBED == 0:
            tell(folder, step=state.step, **probe(training))
    state.save(folder, recipe)
    if training.is_warm(state.step):
        tell(folder, step=state.step, **probe(training))


def probe(training: Training) -> dict[str, float]:
    """What the mean of weights can do, on validation scenes; before texts have their turn, by the heads."""
    recipe, mean = training.recipe, training.state.mean
    model = make(recipe.config(training.model.vocab_size), recipe.seed).to(device_of(training.heads))
    model.load_state_dict(under(mean, "clip."))
    if training.is_warm(training.state.step):
        return probed(model.eval(), training.tokenizer, recipe.side, recipe.seed)
    heads = Heads(recipe.dim, recipe.width * 16).to(device_of(training.heads))
    heads.load_state_dict(under(mean, "heads."))
    return known(model.eval(), heads, recipe.side, recipe.seed)


def tell(folder: Path, **facts: float) -> None:
    """To the log, and to who watches."""
    line = json.dumps({name: round(value, 4) for name, value in facts.items()})
    with (folder / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the training's folder")
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="of the whole training")
    parser.add_argument("--seed", type=int, default=0, help="another one, other scenes and weights")
    parser.add_argument("--batch", type=int, default=Recipe().batch, help="pictures a step")
    parser.add_argument(
        "--for-seconds", type=float, default=float("inf"), help="stop after so long, and keep"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU where there is one"
    )
    asked = parser.parse_args(argv)
    recipe = Recipe(seed=asked.seed, steps=asked.steps, batch=asked.batch)
    try:
        train(asked.out, recipe, asked.for_seconds, choose_device(asked.device))
    except UsageError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
