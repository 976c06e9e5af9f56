"""Train `starter-motion`: what changes between pictures, over those that a trained starter makes.

python -m training.motion --starter FOLDER --out DIR [--after FILE] [--steps N] [--seed N] [--for-seconds S]

The picture tower stays as it is; CLIP2Video's blocks are new, and the text tower goes on learning, since no
single picture taught it what words of motion mean. Cut off, it goes on where it was when run again with the
same words. With --after it goes on from what was released: now it also chooses between a clip and the same
one backwards or cut, as films have them, and sees more of the groups that it still takes for one another.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from core import files
from core.errors import Error
from core.types import EncoderSpec, IntArray
from extractor.encoders import hub
from extractor.encoders.clip2video import Clip2Video, joined
from extractor.encoders.clip2video_model import PICTURES, Model, Shape, drawn
from extractor.encoders.devices import choose_device
from extractor.encoders.recipe import LOCAL_DIR, recipe_of
from extractor.encoders.starter_motion import FAMILY, FILE, SAMPLING, STARTER, starter_hash, tokenizer_of
from extractor.encoders.temporal import Sizes
from extractor.encoders.tensors import insist, read
from extractor.encoders.weights import hash_of
from extractor.world.chance import Chance
from extractor.world.grounds import Pixels
from extractor.world.query import Query
from extractor.world.scene import Scene
from training import choices
from training.bank import everyday
from training.batches import sentences
from training.bindings import BindingHeads, TurningHead, said, said_going, shown, shown_going
from training.choices import Choices
from training.groups import ATTRIBUTES, BOUND, Attribute
from training.loop import Every, parser_of, run, tell
from training.model import contrast, device_of
from training.motion_probe import Probe, probe_of
from training.moving import Moving, alike, ordinary
from training.recipe import Recipe
from training.state import State, state_of, under

_EVERY = Every(saved=100, probed=250)
_APART: tuple[Attribute, ...] = ("direction", *BOUND)
_TOLD: tuple[Attribute, ...] = (*ATTRIBUTES, *BOUND, "direction", "direction", "count")
_TOLD_LATER: tuple[Attribute, ...] = (*_TOLD, "direction", "count", "turning", "turning", "turning")
_NEW_STD = 0.02  # of what is drawn, as the authors have it


@dataclass(frozen=True, slots=True)
class MotionRecipe(Recipe):
    """What differs from the starter's. Sizes that the starter has are the starter's."""

    starter: str = ""  # its weights' hash
    steps: int = 4_000
    batch: int = 128  # clips
    rate: float = 1e-3
    layers: int = 2  # over pictures and differences
    centres: int = 5
    early_share: float = 0.4  # of steps
    motion_shares: tuple[float, ...] = (0.85, 0.35)  # of batches, early and later: groups of 16 motions
    told: tuple[Attribute, ...] = _TOLD  # what the other groups differ in
    choices_weight: float = 0.0  # beside the loss of groups and batches
    outside: int = 16
    sentences: int = 96  # of no clip, beside the captions of a batch
    kept: int = 64  # batches, all of which are shown so many
    times: int = 4  # before others are: each time in other words

    def shown(self, number: int) -> int:
        """Which batch a step sees."""
        before, inside = divmod(number, self.kept * self.times)
        return before * self.kept + inside % self.kept


@dataclass(frozen=True, slots=True)
class Told:
    """n clips, by the vectors of their pictures, and a caption of each."""

    features: Tensor
    index: list[IntArray]
    captions: list[str]
    claims: list[Query]
    scenes: list[Scene]
    groups: list[int]
    choices: Choices | None


class Heads(nn.Module):
    """Thrown away when it is trained: whose each colour is, where it lies, which way it goes, and turns."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lying, self.going = BindingHeads(dim), BindingHeads(dim)
        self.turning = TurningHead(dim)

    def of_clips(self, vectors: Tensor, scenes: list[Scene]) -> Tensor:
        """What there is to be seen."""
        found = self.lying.loss(vectors, shown(scenes)) + self.going.loss(vectors, shown_going(scenes))
        return found + self.turning.loss(vectors, [scene.things for scene in scenes])

    def of_texts(self, vectors: Tensor, claims: list[Query]) -> Tensor:
        """What they say."""
        found = self.lying.loss(vectors, said(claims)) + self.going.loss(vectors, said_going(claims))
        return found + self.turning.loss(vectors, [claim.things for claim in claims])


@dataclass(frozen=True, slots=True)
class Training:
    """All that a step needs. The model has no picture tower: the encoder kept it."""

    recipe: MotionRecipe
    encoder: Clip2Video
    model: Model
    heads: Heads
    state: State
    kept: dict[int, Tensor] = field(default_factory=dict)  # vectors of pictures that are shown again

    def batch(self, number: int) -> Told:
        """What a step sees, by its number alone."""
        shown = self.recipe.shown(number)
        clips = self.clips(shown)
        if shown not in self.kept:
            if len(self.kept) == self.recipe.kept:
                del self.kept[next(iter(self.kept))]
            self.kept[shown] = self.seen(self.pictures(clips, shown))
        chance = Chance("motion captions", self.recipe.seed, number)
        captions = clips.captions(chance)
        chosen = choices.choices(clips, chance) if self.recipe.choices_weight else None
        told = clips.claims, clips.scenes, clips.groups
        return Told(self.kept[shown], clips.index, captions, *told, chosen)

    def clips(self, shown: int) -> Moving:
        """Of a batch that is shown several times."""
        recipe, chance = self.recipe, Chance("motion batch", self.recipe.seed, shown)
        at_first, then = recipe.motion_shares
        if chance.yes(at_first if shown * recipe.times < recipe.early_share * recipe.steps else then):
            return alike("train", recipe.seed, shown, recipe.batch, ("motion",))
        if chance.yes(recipe.grouped_share):
            return alike("train", recipe.seed, shown, recipe.batch, recipe.told)
        return ordinary("train", recipe.seed, shown, recipe.batch)

    def pictures(self, clips: Moving, shown: int) -> Pixels:
        """Some as a video file leaves them."""
        side, chance = self.encoder.spec.look.size, Chance("motion coded", self.recipe.seed, shown)
        if chance.yes(self.recipe.coded_share):
            return clips.coded(side, chance)
        return clips.pictures(side)

    @torch.no_grad()
    def seen(self, pictures: Pixels) -> Tensor:
        """Their vectors, in a training's precision."""
        with torch.autocast(device_of(self.model).type, torch.bfloat16):
            return self.encoder.features(torch.from_numpy(pictures)).float()

    def loss(self, batch: Told, number: int) -> Tensor:
        """Within groups, and over the batch."""
        clips = self.encoder.clips(batch.features, batch.index)
        outside = everyday("train", self.recipe.seed + number, self.recipe.outside)
        apart = sentences("train", self.recipe.seed, number, self.recipe.sentences, _APART, moving=True)
        spoken = self.texts(batch.captions + outside + apart.captions)
        asked = len(batch.captions) + len(outside)
        captions = spoken[: len(batch.captions)]
        told = contrast(
            clips, spoken[:asked], self.model.clip.logit_scale, batch.groups, self.recipe.batch_weight
        )
        known = self.heads.of_clips(clips, batch.scenes)
        if batch.choices is not None:
            others = self.encoder.clips(batch.features, batch.choices.index)
            wrong = batch.choices.wrong
            chosen = choices.loss(clips, others, captions, self.model.clip.logit_scale, wrong)
            told = told + self.recipe.choices_weight * chosen
            known = known + self.heads.of_clips(others[: len(clips)], [s.reversed() for s in batch.scenes])
        known = known + self.heads.of_texts(captions, batch.claims)
        known = known + self.heads.of_texts(spoken[asked:], apart.claims)
        return told + self.recipe.heads_weight * known

    def texts(self, texts: list[str]) -> Tensor:
        """As the encoder's; all are cut where the longest one ends."""
        ids = self.encoder.tokenizer(texts)
        ends = ids.argmax(dim=1)
        ids = ids[:, : int(ends.max()) + 1]
        mask = (torch.arange(ids.shape[1]) <= ends[:, None]).float()
        device = device_of(self.model)
        return joined(*self.model.text_halves(ids.to(device), mask.to(device)))


def prepared(
    starter: Path, folder: Path, recipe: MotionRecipe, device: str = "cpu", after: Path | None = None
) -> Training:
    """New, from what was released, or where it was."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, model = _begun(starter, recipe, device)
    if after:
        wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
        model.load_state_dict(insist(read(after), wanted, file=str(after), name=FAMILY))
    model.requires_grad_(True)
    torch.manual_seed(recipe.seed)
    heads = Heads(encoder.spec.dim).to(device)
    state = state_of(nn.ModuleDict({"model": model, "heads": heads}), recipe)
    state.load(folder, recipe)
    return Training(recipe, encoder, model, heads, state)


def recipe_for(starter: Path, seed: int, steps: int) -> MotionRecipe:
    """The one for a starter's weights."""
    return MotionRecipe(seed=seed, steps=steps, starter=hash_of(starter / hub.SAFE))


def later(recipe: MotionRecipe, after: Path) -> MotionRecipe:
    """What changes when it goes on from what was released."""
    return replace(
        recipe,
        after=hash_of(after),
        rate=recipe.rate / 2,
        motion_shares=(0.25, 0.25),
        grouped_share=0.6,
        told=_TOLD_LATER,
        choices_weight=1.0,
    )


def _begun(starter: Path, recipe: MotionRecipe, device: str) -> tuple[Clip2Video, Model]:
    """Both towers as they are, and blocks by chance; the picture tower is the encoder's alone."""
    known = recipe_of(f"{LOCAL_DIR}{starter}")
    width = int(known.config["embed_dim"])
    sizes = Sizes(width, recipe.centres, PICTURES, recipe.layers)
    model = drawn(Shape(known.config, sizes), recipe.seed)
    for places in (model.frame_position_embeddings, model.type_position_embeddings):
        places.weight.mul_(_NEW_STD)
    wanted = {name: tensor.shape for name, tensor in model.clip.state_dict().items()}
    file = starter / hub.SAFE
    model.clip.load_state_dict(insist(read(file), wanted, file=str(file), name=STARTER))
    spec = EncoderSpec(FAMILY, 2 * width, known.look(), sampling=SAMPLING)
    encoder = Clip2Video(spec, model, device, tokenizer_of(starter, known))
    encoder.visual.to(memory_format=torch.channels_last)
    model.clip.visual = nn.Identity()
    return encoder, model


def train(training: Training, folder: Path, for_seconds: float = float("inf")) -> None:
    """To the last step, or for so long; then what it has is released."""
    recipe = training.recipe
    probe = probe_of(training.encoder, recipe.seed)
    if not training.state.step:
        tell(folder, step=0, place_r2=probe.place_r2(), **probed(training, probe))
    run(training, folder, for_seconds, lambda: probed(training, probe), _EVERY)
    release(training, folder / FILE)


def probed(training: Training, probe: Probe) -> dict[str, float]:
    """What the mean of weights can do."""
    learning = {name: value.detach().clone() for name, value in training.model.state_dict().items()}
    training.model.load_state_dict(under(training.state.mean, "model."))
    found = probe(training.encoder)
    training.model.load_state_dict(learning)
    return found


def release(training: Training, path: Path) -> None:
    """The mean of weights in half precision, and whose pictures it takes."""
    mean = under(training.state.mean, "model.")
    state = {name: value.half().contiguous().cpu() for name, value in mean.items()}
    files.replace_bytes(path, save(state, {STARTER: training.recipe.starter}))


def main(argv: list[str] | None = None) -> int:
    """Train."""
    parser = parser_of(__doc__, MotionRecipe())
    parser.add_argument("--starter", type=Path, required=True, help="the folder of a released starter")
    parser.add_argument("--after", type=Path, help="a released file, over the same starter, to go on from")
    asked = parser.parse_args(argv)
    try:
        device = choose_device(asked.device)
        recipe = recipe_for(asked.starter, asked.seed, asked.steps)
        if asked.after:
            starter_hash(FAMILY, asked.starter, asked.after)
            recipe = later(recipe, asked.after)
        training = prepared(asked.starter, asked.out, recipe, device, asked.after)
        train(training, asked.out, asked.for_seconds)
    except Error as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
