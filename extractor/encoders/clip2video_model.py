"""CLIP2Video's model, by the names of its authors' files: a CLIP, and blocks over its pictures of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from core.errors import EncoderError
from extractor.encoders.base import unit
from extractor.encoders.seeded import seeded
from extractor.encoders.temporal import HEAD, Sizes, Temporal
from extractor.encoders.tensors import State, insist, layers_of, length_of, require_any
from extractor.encoders.unfilled import unfilled

PICTURES = 12  # of a clip
WORDS = 32  # of a text, with those that mark its start and its end
VIT_B_32: Mapping[str, Any] = MappingProxyType(
    {  # open_clip's model_cfg of the CLIP that the authors started from
        "embed_dim": 512,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "patch_size": 32, "width": 768, "layers": 12, "head_width": HEAD},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
    }
)
_MOST_LAYERS = 128
_OLD = {".gamma": ".weight", ".beta": ".bias"}  # of norms


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a model is beside its numbers."""

    clip: Mapping[str, Any] = field(default_factory=lambda: VIT_B_32)
    temporal: Sizes = field(default_factory=Sizes)


class Model(Temporal):
    """Both towers and the blocks over them."""

    def __init__(self, shape: Shape) -> None:
        from open_clip import CLIP

        super().__init__(shape.temporal)
        self.clip = CLIP(**shape.clip)

    def text_halves(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors, global and aligned, [texts, width] each, of token ids and which of them are no
        padding. 0 is also a word's number, so that the mask is not to be read off them."""
        words = self.words(ids)
        ends = words[torch.arange(len(ids), device=ids.device), ids.argmax(dim=1)]
        seen = mask.clone()
        seen[:, 0] = 0  # what marks the start
        return unit(ends), self.aligned(words, seen)

    def words(self, ids: Tensor) -> Tensor:
        """What the text tower makes of each token, padding included: [texts, tokens, width]."""
        clip, count = self.clip, ids.shape[1]
        later = torch.full((count, count), -torch.inf, device=ids.device).triu(1)
        tokens = clip.token_embedding(ids) + clip.positional_embedding[:count]
        found: Tensor = clip.ln_final(clip.transformer(tokens, attn_mask=later)) @ clip.text_projection
        return found


def drawn(shape: Shape, seed: int) -> Model:
    """As it comes out after `torch.manual_seed(seed)`."""
    with seeded(seed):
        return Model(shape).eval().requires_grad_(False)


def filled(state: State, shape: Shape, *, file: str, name: str) -> Model:
    """With a file's tensors; what it is to hold is seen before memory is taken for it."""
    with unfilled():
        model = Model(shape)
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    model.load_state_dict(insist(state, wanted, file=file, name=name), assign=True)
    model.clip.attn_mask = None  # in no file, and not asked for
    return model.eval().requires_grad_(False)


def renamed(state: State) -> dict[str, Tensor]:
    """By today's names."""
    found = {}
    for key, tensor in state.items():
        old = next((name for name in _OLD if key.endswith(name)), "")
        found[key.removesuffix(old) + _OLD.get(old, "")] = tensor
    return found


class Read:
    """A shape read off a file's tensors. Where one that tells is missing, an EncoderError names it."""

    def __init__(self, state: State, file: str, name: str) -> None:
        self._state, self._file, self._name = state, file, name

    def shape(self, clip: Mapping[str, Any] | None = None) -> Shape:
        """Of all, or, where the CLIP is known, of the rest."""
        with unfilled():
            usual = Model(Shape())
        require_any(self._state, [*usual.state_dict()], file=self._file, name=self._name)
        found = Shape(self._clip() if clip is None else clip, self._temporal())
        made, taken = found.clip["embed_dim"], found.temporal.width
        if made != taken:
            raise self._unfit(f"its CLIP makes vectors of {made} numbers, and its blocks take {taken}")
        return found

    def _temporal(self) -> Sizes:
        has_matrix = "frame2t_projection" in self._state
        return Sizes(
            width=self._heads("weight_center", 1) * HEAD,
            centres=self._length("weight_center", 0),
            places=self._at_least("frame_position_embeddings.weight", PICTURES),
            layers=self._layers("transformerClip"),
            difference_layers=0 if has_matrix else self._layers("frame2t_attention"),
            action_layers=self._layers("actionClip"),
        )

    def _clip(self) -> dict[str, Any]:
        patch = self._length("clip.visual.conv1.weight", 2)
        vision = {
            "image_size": self._side() * patch,
            "patch_size": patch,
            "width": self._heads("clip.visual.conv1.weight", 0) * HEAD,
            "layers": self._layers("clip.visual.transformer"),
            "head_width": HEAD,
        }
        heads = self._heads("clip.token_embedding.weight", 1)
        text = {
            "context_length": self._at_least("clip.positional_embedding", WORDS),
            "vocab_size": self._length("clip.token_embedding.weight", 0),
            "width": heads * HEAD,
            "heads": heads,
            "layers": self._layers("clip.transformer"),
        }
        width = self._length("clip.visual.proj", 1)
        return {"embed_dim": width, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}

    def _side(self) -> int:
        """Of a picture, in patches."""
        places = self._length("clip.visual.positional_embedding", 0) - 1
        side = isqrt(max(0, places))
        if side < 1 or side * side != places:
            raise self._unfit(f"clip.visual.positional_embedding has {places + 1} rows, of no square and one")
        return side

    def _heads(self, key: str, axis: int) -> int:
        width = self._length(key, axis)
        if width < HEAD or width % HEAD:
            raise self._unfit(f"{key} says that something is {width} wide, which is no multiple of {HEAD}")
        return width // HEAD

    def _at_least(self, key: str, least: int) -> int:
        rows = self._length(key, 0)
        if rows < least:
            raise self._unfit(f"{key} has {rows} rows, and at least {least} are needed")
        return rows

    def _layers(self, of: str) -> int:
        count = layers_of(self._state, before := f"{of}.resblocks.")
        if not count:
            raise self._unfit(f"{before}0.attn.in_proj_weight is missing")
        if count > _MOST_LAYERS:
            raise self._unfit(f"{of} has {count} layers, and {_MOST_LAYERS} are the most")
        return count

    def _length(self, key: str, axis: int) -> int:
        return length_of(self._state, key, axis, file=self._file, name=self._name)

    def _unfit(self, why: str) -> EncoderError:
        return EncoderError(f"{self._file} does not fit {self._name}: {why}.")
