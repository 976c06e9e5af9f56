"""VideoCoCa: a picture model's CoCa, whose pooler sees the tokens of all pictures of a clip as one run.

The method is of arXiv 2212.04979; the weights are those of open_clip's CoCa models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import EncoderError
from core.types import EncoderSpec, IntArray
from extractor.encoders.base import EXACT, Pace
from extractor.encoders.decoder import Decoder, Marks
from extractor.encoders.open_clip import Model, OpenClip, model_of, ready
from extractor.encoders.pooling import Pooler
from extractor.encoders.precision import Precision
from extractor.encoders.recipe import Recipe, recipe_of, require_vectors
from extractor.encoders.sentence import sentence
from extractor.encoders.tower import Tower

FAMILY = "videococa"
EXAMPLE = f"{FAMILY}:coca_ViT-B-32/laion2b_s13b_b90k"
_AT_ONCE = 16  # clips that are written about together: their keys and values take 19 MB each of ViT-L-14


class VideoCoCa:
    """A CoCa, on a device. Features are what each picture gives to the pooler's first query; for captions,
    the other queries want its tokens."""

    def __init__(self, model: Model, device: str) -> None:
        self.spec: EncoderSpec = model.spec
        self.thresholds = model.thresholds
        self._texts = OpenClip(model, device)
        module = model.module
        self.module = module
        self.pooler = Pooler(module.visual)
        self.trunk = Trunk(module.visual)
        self.tower = Tower(self.spec, self.trunk, self.trunk, self._alone)
        self._tokenizer = model.tokenizer
        self.decoder = Decoder(module)

    @property
    def precision(self) -> Precision:
        """What pictures are computed in, up to the pooler, which is fp32."""
        return self.tower.precision

    @property
    def logit_scale(self) -> float:
        """What the model learned to multiply scores by."""
        return self._texts.logit_scale

    def features(self, pictures: Tensor) -> Tensor:
        """float32 [n, 2 · heads + dim]: sums of the tokens of each."""
        return self.pooler.sums(self.tower(pictures))

    def tokens(self, pictures: Tensor) -> Tensor:
        """[n, tokens, width], in what the tower computes in: of ViT-L-14 a megabyte a picture in fp32."""
        return self.tower(pictures)

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """A unit vector each, of all tokens of its pictures, in whatever order."""
        sums = self.pooler.sums(features) if features.dim() == _OF_TOKENS else features
        return self.pooler.vectors(sums, index)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """A unit vector each."""
        return self._texts.texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which have more tokens than the model reads."""
        return self._texts.too_long(texts)

    def caption(self, tokens: Tensor, index: Sequence[IntArray], *, beams: int) -> list[str]:
        """A sentence a clip; with more beams than one, the best of so many that are weighed."""
        marks, found = _marks(self._tokenizer), list[str]()
        for first in range(0, len(index), _AT_ONCE):
            seen = self._seen(tokens, index[first : first + _AT_ONCE])
            if beams == 1:
                ids = [_ended(mine, marks) for mine in self.decoder.greedy(seen, marks).tolist()]
            else:
                ids = self.decoder.beamed(seen, beams, marks)
            found += [self._sentence(mine, marks) for mine in ids]
        return found

    def _seen(self, tokens: Tensor, index: Sequence[IntArray]) -> Tensor:
        """What the decoder looks at, [clips, queries but one, dim]: clips of as many pictures together."""
        found: list[Tensor] = [tokens.new_empty(0)] * len(index)
        for count in sorted({len(rows) for rows in index}):
            these = [number for number, rows in enumerate(index) if len(rows) == count]
            rows = torch.from_numpy(np.stack([index[number] for number in these])).to(tokens.device)
            for number, seen in zip(
                these, self.pooler.caption_tokens(tokens[rows].flatten(1, 2)), strict=True
            ):
                found[number] = seen
        return torch.stack(found)

    def _sentence(self, ids: Sequence[int], marks: Marks) -> str:
        words = list(ids[1:])
        if marks.end in words:
            words = words[: words.index(marks.end)]
        return sentence(self._tokenizer.decode([word for word in words if word != marks.start]))

    def _alone(self, tokens: Tensor) -> Tensor:
        """Each picture a clip."""
        return self.pooler.vectors(self.pooler.sums(tokens), list(np.arange(len(tokens))[:, None]))


_OF_TOKENS = 3  # dimensions


class Trunk(torch.nn.Module):
    """A picture tower of open_clip's up to its last block: what comes before the pooler."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.held = torch.nn.ModuleList([visual.conv1, visual.ln_pre, visual.transformer])
        self.class_embedding, self.positional_embedding = visual.class_embedding, visual.positional_embedding
        self._of = (visual,)  # no module of this one: the pooler keeps its precision

    def forward(self, pictures: Tensor) -> Tensor:
        (visual,) = self._of
        tokens: Tensor = visual.transformer(visual._embeds(pictures))
        return tokens


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    random_weights: int | None = None,
    look: Mapping[str, str] = MappingProxyType({}),
    download: bool = False,
    pace: Pace = EXACT,
) -> VideoCoCa:
    """A CoCa of open_clip's: MODEL/TAG, or MODEL with the weights of a file or random ones."""
    device = ready(device, pace, weights, random_weights)
    recipe = _recipe(variant, may_download=download)
    require_vectors(f"{FAMILY}:{variant}", weights)
    model = model_of(recipe, weights, random_weights, look, download=download)
    return _begun(model, f"{FAMILY}:{variant}", device, pace)


def load_writer(variant: str, device: str, *, download: bool = False, pace: Pace = EXACT) -> VideoCoCa:
    """For captions alone: its vectors may be worth nothing."""
    device = ready(device, pace, None, None)
    recipe = _recipe(variant, may_download=download)
    return _begun(model_of(recipe, None, None, download=download), f"{FAMILY}:{variant}", device, pace)


def opened(name: str, variant: str, device: str, look: Mapping[str, str], pace: Pace) -> VideoCoCa:
    """One that is here, under a name of its own."""
    return _begun(model_of(_recipe(variant, may_download=False), None, None, look), name, device, pace)


def _begun(model: Model, name: str, device: str, pace: Pace) -> VideoCoCa:
    encoder = VideoCoCa(replace(model, spec=replace(model.spec, name=name)), device)
    encoder.tower.begin(pace)
    return encoder


def _recipe(variant: str, *, may_download: bool) -> Recipe:
    if not variant:
        raise EncoderError(f"{FAMILY} needs a CoCa of open_clip's, as in {EXAMPLE}.")
    recipe = recipe_of(variant, may_download=may_download)
    _require_coca(recipe)
    return recipe


def _require_coca(recipe: Recipe) -> None:
    """By its config: one that is not would be built in vain."""
    if "multimodal_cfg" not in recipe.config:
        raise EncoderError(
            f"{recipe.name} is no CoCa, which {FAMILY} needs; coca_ViT-B-32 and coca_ViT-L-14 are."
        )
    vision, text = recipe.config["vision_cfg"], recipe.text
    if vision.get("attentional_pool") is not True or vision.get("pool_type", "tok") != "tok":
        raise EncoderError(
            f"{recipe.name} does not make its vector by the first query of one attentional pooler; "
            "coca_ViT-B-32 and coca_ViT-L-14 do."
        )
    if text.get("hf_model_name") or not text.get("embed_cls"):
        raise EncoderError(f"{recipe.name} reads texts with another model than CoCa's decoder stands on.")


def _ended(ids: list[int], marks: Marks) -> list[int]:
    """A greedy sentence without what fills it up to the longest beside it: the id of padding, which is that
    of "!" as well, ends one as the mark does, and is its last word."""
    return ids[: ids.index(marks.padding) + 1] if marks.padding in ids else ids


def _marks(tokenizer: Any) -> Marks:
    return Marks(int(tokenizer.sot_token_id), int(tokenizer.eot_token_id))
