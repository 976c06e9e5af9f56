"""Train `starter-coca`: clips and texts of the sample world in one space, and captions.

python -m training.coca --starter FOLDER --out DIR [--steps N] [--seed N] [--for-seconds S] [--device D]

A starter that is trained teaches it: nothing else than the world it was trained on comes in by that. Cut off,
it goes on where it was when run again with the same words.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from open_clip import CoCa
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import Error, UsageError
from extractor.encoders.devices import choose_device
from extractor.encoders.hub import SAFE
from extractor.encoders.weights import hash_of
from extractor.world.chance import Chance
from extractor.world.claims import named
from extractor.world.query import Query
from extractor.world.scene import Scene
from training.ahead import Ahead
from training.bank import everyday
from training.batches import Batch, clips, grouped, pictures
from training.coca_model import Seen, caption_loss, make, seen, texts
from training.coca_probe import encoder_of, probed
from training.coded import coded_pictures
from training.folder import begin
from training.gallery import STILL
from training.labels import CELLS, covered
from training.lesson import Lesson, Teacher, apart
from training.loop import Every, parser_of, run
from training.model import Heads, contrast, device_of, input_of
from training.probe import known
from training.recipe import Recipe
from training.state import State, state_of, under


@dataclass(frozen=True, slots=True)
class CocaRecipe(Recipe):
    """What differs from the starter's."""

    starter: str = ""  # the hash of who teaches it
    steps: int = 4_000
    batch: int = 128  # pictures, of all clips together
    frames: tuple[int, ...] = (1, 1, 2, 4)  # of a batch's clips, one of these
    width: int = 192
    layers: int = 4
    patch: int = 8
    queries: int = 32  # of the pooler: one for the vector, the others for captions
    text_layers: int = 3
    decoder_layers: int = 2
    rate: float = 2e-3
    warm_share: float = 0.4375
    outside: int = 16
    captions_weight: float = 1.0
    lesson_weight: float = 2.0  # of what the starter sees, before there are texts
    lesson_later: float = 0.5  # of what it sees, and of what it says, after

    def config(self, words: int) -> dict[str, Any]:
        """open_clip's own, for a vocabulary of so many pieces."""
        whole = Recipe.config(self, words)
        vision = {
            "image_size": self.side,
            "patch_size": self.patch,
            "width": self.width,
            "layers": self.layers,
            "pos_embed_type": "sin_cos_2d",
            "attentional_pool": True,
            "attn_pooler_queries": self.queries,
            "attn_pooler_heads": self.dim // 64,
            "output_tokens": True,
        }
        text = whole["model_cfg"]["text_cfg"]
        decoder = text | {"layers": self.decoder_layers, "attn_pooler_heads": self.dim // 64}
        whole["model_cfg"] |= {
            "vision_cfg": vision,
            "text_cfg": text | {"embed_cls": True, "output_tokens": True},
            "multimodal_cfg": decoder,
            "custom_text": True,
        }
        return whole


def batch(recipe: CocaRecipe, number: int) -> Batch:
    """What a step sees, by its number alone."""
    chance = Chance("coca batch", recipe.seed, number)
    seed, side, size = recipe.seed, recipe.side, recipe.batch
    if chance.yes(recipe.coded_share):
        return coded_pictures("train", seed, number, size, side)
    if not recipe.has_texts(number):
        return pictures("train", seed, number, size, side, recipe.alone_share)
    frames = chance.one(recipe.frames)
    if chance.yes(recipe.grouped_share):
        return grouped("train", seed, number, side, STILL, frames, size // frames)
    if frames == 1:
        return pictures("train", seed, number, size, side)
    return clips("train", seed, number, size // frames, side, frames)


@dataclass(frozen=True, slots=True)
class Training:
    """All that a step needs."""

    recipe: CocaRecipe
    model: CoCa
    heads: Heads
    teacher: Teacher
    lesson: Lesson
    state: State
    tokenizer: SimpleTokenizer

    def batch(self, number: int) -> Batch:
        """What a step sees."""
        return batch(self.recipe, number)

    def loss(self, batch: Batch, number: int) -> Tensor:
        """Of the heads, of single pictures, and of what the starter sees; of texts and captions when it is
        their turn."""
        recipe, frames = self.recipe, batch.pictures.shape[1]
        shown = input_of(batch.pictures.reshape(-1, *batch.pictures.shape[2:]), device_of(self.heads))
        found = seen(self.model, shown, frames)
        taught: Tensor = self.lesson(found, self.teacher.sees(shown, frames))
        known = found.vectors.new_zeros(())
        if frames == 1:
            things = covered(batch.scenes, found.places.shape[-1])
            labels = replace(batch.labels, things=things)
            known = self.heads.loss(found.vectors.float(), found.places.float(), labels)
        if not recipe.has_texts(number):
            return known + recipe.lesson_weight * taught
        told = self.told(batch, number, found)
        return told + recipe.heads_weight * known + recipe.lesson_later * taught

    def told(self, batch: Batch, number: int, found: Seen) -> Tensor:
        """Of texts, and of captions that leave nothing out."""
        recipe = self.recipe
        outside = everyday("train", recipe.seed + number, recipe.outside)
        ids = self.tokenizer(batch.captions + outside, recipe.context)
        whole = [i for i, claim in enumerate(batch.claims) if tells_all(claim, batch.scenes[i])]
        said, states = self.texts(ids, whole)
        told = contrast(found.vectors, said, self.model.logit_scale, batch.groups, recipe.batch_weight)
        if whole:
            written = caption_loss(self.model, found.tokens[whole], states, ids[whole])
            told = told + recipe.captions_weight * written
        return told + recipe.lesson_later * apart(said, self.teacher.says(ids))

    def texts(self, ids: Tensor, whole: list[int]) -> tuple[Tensor, Tensor]:
        """All vectors, and what the words are of those that leave nothing out: these are long, and so go
        apart."""
        rest = sorted({*range(len(ids))} - {*whole})
        parts = [texts(self.model, ids[rows]) for rows in (whole, rest) if rows]
        order = torch.tensor(whole + rest).argsort()
        return torch.cat([vectors for vectors, _ in parts])[order], parts[0][1]


def tells_all(claim: Query, scene: Scene) -> bool:
    """Whether it is a caption that leaves nothing out: by others one would learn to leave out too."""
    things = Counter(claim.things) == Counter(map(named, scene.things))
    return things and (claim.ground, claim.pan) == (scene.ground, scene.pan)


def prepared(starter: Path, folder: Path, recipe: CocaRecipe, device: str = "cpu") -> Training:
    """New, or where it was, on whichever device that was."""
    teacher = Teacher(starter, device)
    if teacher.dim != recipe.dim:
        raise UsageError(
            f"{starter} makes vectors of {teacher.dim} numbers, and a pupil of it makes {recipe.dim}; "
            "give another starter."
        )
    begun = begin(folder, recipe)
    model = make(begun.config, recipe.seed).to(device)
    teacher.hands_on(model)
    heads = Heads(recipe.dim, recipe.width).to(device)
    lesson = Lesson(recipe.width, teacher).to(device)
    state = state_of(nn.ModuleDict({"clip": model, "heads": heads, "lesson": lesson}), recipe)
    state.load(folder, recipe)
    return Training(recipe, model, heads, teacher, lesson, state, begun.tokenizer)


def recipe_for(starter: Path, recipe: CocaRecipe) -> CocaRecipe:
    """The same, by whom it is taught."""
    return replace(recipe, starter=hash_of(starter / SAFE))


def train(starter: Path, folder: Path, recipe: CocaRecipe, for_seconds: float, device: str = "cpu") -> None:
    """To the last step, or for so long."""
    training = prepared(starter, folder, recipe, device)
    training.model.train()
    with Ahead(partial(batch, recipe)) as batches:
        run(training, folder, for_seconds, lambda: probe(training), Every(), batches)


def probe(training: Training) -> dict[str, float]:
    """What the mean of weights can do, on validation scenes; before texts have their turn, by the heads."""
    recipe, mean, device = training.recipe, training.state.mean, device_of(training.heads)
    config = recipe.config(training.tokenizer.vocab_size)
    encoder = encoder_of(config, under(mean, "clip."), training.tokenizer, str(device))
    if recipe.has_texts(training.state.step):
        return probed(encoder, recipe.seed)
    heads = Heads(recipe.dim, recipe.width).to(device)
    heads.load_state_dict(under(mean, "heads."))

    def look(shown: Tensor) -> tuple[Tensor, Tensor]:
        found = seen(encoder.module, shown, 1)
        return found.vectors, F.adaptive_avg_pool2d(found.places, CELLS)

    return known(look, heads, recipe.side, recipe.seed)


def main(argv: list[str] | None = None) -> int:
    """Train."""
    parser = parser_of(__doc__, CocaRecipe())
    parser.add_argument("--starter", type=Path, required=True, help="the folder of a released starter")
    parser.add_argument("--batch", type=int, default=CocaRecipe().batch, help="pictures a step")
    asked = parser.parse_args(argv)
    try:
        recipe = CocaRecipe(seed=asked.seed, steps=asked.steps, batch=asked.batch)
        recipe = recipe_for(asked.starter, recipe)
        train(asked.starter, asked.out, recipe, asked.for_seconds, choose_device(asked.device))
    except Error as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
