"""Train `starter`: pictures and texts of the sample world in one space.

python -m training.starter --out DIR [--after FOLDER] [--steps N] [--seed N] [--for-seconds S] [--device D]

Cut off, it goes on where it was when run again with the same words.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import Error, UsageError
from extractor.encoders.devices import choose_device
from extractor.encoders.hub import SAFE
from extractor.encoders.tensors import insist, read
from extractor.encoders.weights import hash_of
from extractor.world.chance import Chance
from training.ahead import Ahead
from training.bank import everyday
from training.batches import Batch, clips, grouped, pictures, sentences
from training.bindings import said, shown
from training.coded import coded_pictures
from training.folder import VOCABULARY, Begun, begin
from training.gallery import BINDING, STILL
from training.loop import Every, parser_of, run
from training.model import Heads, contrast, device_of, input_of, last_words, make, seen_places, texts
from training.probe import known, probed
from training.recipe import Recipe
from training.state import State, state_of, under

_CLIPS_SHARE = 0.5


def batch(recipe: Recipe, number: int) -> Batch:
    """What a step sees, by its number alone."""
    chance = Chance("batch", recipe.seed, number)
    if recipe.texts_only and chance.yes(recipe.clips_share):
        size = recipe.batch // 2
        return clips("train", recipe.seed, number, size, recipe.side, recipe.clip_pictures)
    if chance.yes(recipe.coded_share):
        return coded_pictures("train", recipe.seed, number, recipe.batch, recipe.side)
    if recipe.has_texts(number) and chance.yes(recipe.grouped_share):
        told = BINDING if recipe.is_bound(number) else STILL
        return grouped("train", recipe.seed, number, recipe.side, told, 1, recipe.batch)
    alone = recipe.alone_share if not recipe.has_texts(number) else 0.0
    return pictures("train", recipe.seed, number, recipe.batch, recipe.side, alone)


@dataclass(frozen=True, slots=True)
class Training:
    """All that a step needs."""

    recipe: Recipe
    model: CLIP
    heads: Heads
    state: State
    tokenizer: SimpleTokenizer

    def batch(self, number: int) -> Batch:
        """What a step sees."""
        return batch(self.recipe, number)

    def loss(self, batch: Batch, number: int) -> Tensor:
        """Of the heads, and of texts when it is their turn."""
        vectors, known = self.kept(batch) if self.recipe.texts_only else self.seen(batch)
        if not self.recipe.has_texts(number):
            return known
        outside = everyday("train", self.recipe.seed + number, self.recipe.outside)
        spoken = texts(self.model, self.tokens(batch.captions + outside))
        if self.recipe.is_bound(number):
            known = known + self.heads.bound.loss(vectors, shown(batch.scenes))
            known = known + self.heads.bound.loss(spoken[: len(batch.claims)], said(batch.claims))
            known = known + self.spoken(number)
        scale = self.model.logit_scale
        told = contrast(vectors, spoken, scale, batch.groups, self.recipe.batch_weight)
        return told + self.recipe.heads_weight * known

    def seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors of single pictures, and the loss of heads."""
        vectors, places = seen_places(self.model, self.input(batch))
        return vectors, self.heads.loss(vectors.float(), places.float(), batch.labels)

    @torch.no_grad()
    def kept(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors of clips, as `extract` makes them of their pictures', by a tower that learns no more."""
        each = F.normalize(self.model.encode_image(self.input(batch)).float(), dim=1)
        vectors = each.reshape(*batch.pictures.shape[:2], -1).mean(dim=1)
        return vectors, vectors.new_zeros(())

    def input(self, batch: Batch) -> Tensor:
        """All of its pictures, as the tower takes them."""
        seen = input_of(batch.pictures.reshape(-1, *batch.pictures.shape[2:]), device_of(self.heads))
        return seen.contiguous(memory_format=torch.channels_last)

    def spoken(self, number: int) -> Tensor:
        """Of sentences alone, which cost less than pictures, and of which many more are needed. The last few
        words are asked, not only the end, so that what a sentence began with comes there."""
        recipe = self.recipe
        told = sentences("train", recipe.seed, number, recipe.sentences)
        words = last_words(self.model, self.tokens(told.captions), recipe.last_words)
        right = said([claim for claim in told.claims for _ in range(recipe.last_words)])
        return self.heads.bound.loss(words.flatten(0, 1), right)

    def tokens(self, told: list[str]) -> Tensor:
        """As the text tower takes them."""
        found: Tensor = self.tokenizer(told, self.recipe.context)
        return found


def prepared(folder: Path, recipe: Recipe, device: str = "cpu", after: Path | None = None) -> Training:
    """New, or where it was, on whichever device that was; a new one with the weights of `after`, if given."""
    begun = begin(folder, recipe)
    model = make(begun.config, recipe.seed)
    if after:
        _take(model, after, begun)
    model.to(device)
    model.visual.to(memory_format=torch.channels_last)
    model.visual.requires_grad_(not recipe.texts_only)
    heads = Heads(recipe.dim, recipe.width * 16).to(device)
    state = state_of(nn.ModuleDict({"clip": model, "heads": heads}), recipe)
    state.load(folder, recipe)
    return Training(recipe, model, heads, state, begun.tokenizer)


def _take(model: CLIP, after: Path, begun: Begun) -> None:
    """A released starter's weights, if its pieces of words are ours."""
    held = SimpleTokenizer(bpe_path=str(after / VOCABULARY))
    if held.encoder != begun.tokenizer.encoder:
        raise UsageError(f"{after} has another vocabulary than the world has now; give another starter.")
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    model.load_state_dict(insist(read(after / SAFE), wanted, file=str(after / SAFE), name="starter"))


def train(
    folder: Path, recipe: Recipe, for_seconds: float, device: str = "cpu", after: Path | None = None
) -> None:
    """To the last step, or for so long."""
    training = prepared(folder, recipe, device, after)
    training.model.train()
    training.model.visual.train(not recipe.texts_only)
    with Ahead(partial(batch, recipe)) as batches:
        run(training, folder, for_seconds, lambda: probe(training), Every(), batches)


def probe(training: Training) -> dict[str, float]:
    """What the mean of weights can do, on validation scenes; before texts have their turn, by the heads."""
    recipe, mean = training.recipe, training.state.mean
    model = make(recipe.config(training.model.vocab_size), recipe.seed).to(device_of(training.heads))
    model.load_state_dict(under(mean, "clip."))
    if recipe.has_texts(training.state.step):
        return probed(model.eval(), training.tokenizer, recipe.side, recipe.seed)
    heads = Heads(recipe.dim, recipe.width * 16).to(device_of(training.heads))
    heads.load_state_dict(under(mean, "heads."))
    model.eval()
    return known(lambda shown: seen_places(model, shown), heads, recipe.side, recipe.seed)


def main(argv: list[str] | None = None) -> int:
    """Train."""
    parser = parser_of(__doc__, Recipe())
    parser.add_argument("--batch", type=int, default=Recipe().batch, help="pictures a step")
    parser.add_argument("--bound-share", type=float, default=0.0, help="of the steps, the last: bindings")
    parser.add_argument(
        "--after",
        type=Path,
        help="the folder of a released starter: all steps are of bindings, with its weights",
    )
    parser.add_argument(
        "--texts-only",
        action="store_true",
        help="its picture tower stays; texts come to know motions",
    )
    asked = parser.parse_args(argv)
    if asked.texts_only and not asked.after:
        parser.error("--texts-only leaves the picture tower as it is: say which one, with --after.")
    recipe = Recipe(seed=asked.seed, steps=asked.steps, batch=asked.batch, bound_share=asked.bound_share)
    try:
        if asked.after:
            recipe = replace(recipe, warm_share=0.0, bound_share=1.0, after=hash_of(asked.after / SAFE))
        if asked.texts_only:
            recipe = replace(recipe, clips_share=_CLIPS_SHARE, rate=recipe.rate / 4)
        train(asked.out, recipe, asked.for_seconds, choose_device(asked.device), asked.after)
    except Error as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
