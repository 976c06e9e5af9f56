"""CLIP2Video: a clip is twelve of its pictures, and what changes between them.

A row is two unit vectors, [√w · global ; √(1 - w) · aligned], so that an inner product is the authors' score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import EncoderError, UsageError
from core.query import Value
from core.types import EncoderSpec, Float32Array, IntArray, Sampling
from extractor.encoders import BY_HAND, byte_pairs
from extractor.encoders.base import EXACT, Pace, characters
from extractor.encoders.clip2video_model import PICTURES, WORDS, Model, Read, Shape, drawn, filled, renamed
from extractor.encoders.open_clip import ready
from extractor.encoders.precision import Precision
from extractor.encoders.recipe import LOCAL_DIR, Recipe, recipe_of, seed_of
from extractor.encoders.temporal import HEAD, Sizes
from extractor.encoders.tensors import read
from extractor.encoders.tower import Tower
from extractor.encoders.weights import RANDOM, called, hash_of

FAMILY = "clip2video"
W = 0.5  # of the global half, in rows
SAMPLING = Sampling(fps=1.5, clip_seconds=8.0)  # twelve pictures a clip
_CLIPS = 256  # computed together: more would only fill memory
_TEXTS = 64
_TEXT: Mapping[str, Any] = MappingProxyType(
    {  # what open_clip calls a text tower as OpenAI's; where a model says nothing, that is meant
        "vocab_size": 49408,
        **{"pool_type": "argmax", "proj_type": "linear", "proj_bias": False},
        **{"embed_cls": False, "no_causal_mask": False, "hf_model_name": None, "hf_tokenizer_name": None},
        "tokenizer_kwargs": None,
    }
)


class Clip2Video:
    """A model, on a device. Features are its CLIP's vectors of pictures, of whatever length. A tokenizer of
    open_clip's says how it reads texts, and how long they may be; without one, as OpenAI's CLIP."""

    options: Mapping[str, str] = MappingProxyType({"w": "a number from 0 to 1"})

    def __init__(self, spec: EncoderSpec, model: Model, device: str, tokenizer: Any = None) -> None:
        self.spec = spec
        self._device = torch.device(device)
        self._model = model.to(self._device)
        self.tokenizer = byte_pairs.tokenizer(WORDS) if tokenizer is None else tokenizer
        self._words = int(self.tokenizer.context_length)  # of a text
        self.visual: torch.nn.Module = model.clip.visual
        self.tower = Tower(spec, self.visual, self.visual, lambda rows: rows.float())
        self.thresholds: Mapping[str, float] = {}
        self._blank: Tensor | None = None

    @property
    def precision(self) -> Precision:
        """What pictures are computed in; what comes after them is fp32."""
        return self.tower.precision

    @property
    def logit_scale(self) -> float:
        """What the model learned to multiply scores by."""
        return float(self._model.clip.logit_scale.exp())

    def features(self, pictures: Tensor) -> Tensor:
        """float32 [n, width]."""
        return self.tower(pictures).float()

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """Of more pictures twelve are taken at equal steps, the first and the last among them. Those of a
        length go together, so that few see any padding: rows of single pictures are most of them."""
        if not index:
            return self._none()
        seen, mask = _twelve(index, blank=len(features))
        held, counts = torch.cat([features, self._padding()]), mask.sum(axis=1).astype(int)
        order, found = counts.argsort(kind="stable"), list[Tensor]()
        ends = {*range(_CLIPS, len(order), _CLIPS), int((counts == 1).sum())}
        for some in filter(len, np.split(order, sorted(ends))):
            rows = torch.from_numpy(seen[some]).to(self._device)
            among = torch.from_numpy(mask[some, : counts[some[-1]]]).to(self._device)
            found.append(joined(*self._model.halves(held[rows], among)))
        return torch.cat(found)[torch.from_numpy(order.argsort()).to(self._device)]

    def texts(self, texts: Sequence[str]) -> Tensor:
        """What is longer than it reads is cut: after 32 tokens, by OpenAI's tokenizer."""
        rows = [
            joined(*self._model.text_halves(*self._ids(texts[first : first + _TEXTS])))
            for first in range(0, len(texts), _TEXTS)
        ]
        return torch.cat(rows) if rows else self._none()

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which have more tokens than the model reads."""
        return [len(row) > self._words - 2 for row in self._encoded(texts)]

    def adjusted(self, queries: Float32Array, chosen: Mapping[str, Value]) -> Float32Array:
        """For another `w`, the share of the global half in the score."""
        w = chosen.get("w", W)
        if isinstance(w, bool | str) or not 0 <= w <= 1:
            shown = repr(w) if isinstance(w, bool | str) else f"{w:g}"
            raise UsageError(f"{shown} must be {self.options['w']}.")
        ratios = np.repeat(np.array([w / W, (1 - w) / (1 - W)], np.float32), self.spec.dim // 2)
        return queries * ratios

    def _padding(self) -> Tensor:
        """Where a clip has too few pictures, the authors give the tower zeros, and what it makes of them
        reaches the result by the difference behind the last picture."""
        if self._blank is None:
            self._blank = self.tower.blank().float()
        return self._blank

    def _ids(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        read = self.tokenizer
        rows = byte_pairs.framed(self._encoded(texts), self._words, read.sot_token_id, read.eot_token_id)
        ids = torch.zeros(len(rows), self._words, dtype=torch.int64)
        mask = torch.zeros(len(rows), self._words)
        for line, row in enumerate(rows):
            ids[line, : len(row)] = torch.tensor(row)
            mask[line, : len(row)] = 1
        return ids.to(self._device), mask.to(self._device)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.tokenizer.encode(characters(text)) for text in texts]

    def _none(self) -> Tensor:
        return torch.empty(0, self.spec.dim, device=self._device)


def joined(whole: Tensor, aligned: Tensor) -> Tensor:
    """Both halves as a row."""
    return torch.cat([sqrt(W) * whole, sqrt(1 - W) * aligned], dim=-1)


def _twelve(index: Sequence[IntArray], blank: int) -> tuple[IntArray, Float32Array]:
    """Twelve features of each clip, and which of them are no padding."""
    seen = np.full((len(index), PICTURES), blank, np.int64)
    mask = np.zeros((len(index), PICTURES), np.float32)
    for line, rows in enumerate(index):
        if len(rows) > PICTURES:
            rows = rows[np.linspace(0, len(rows) - 1, PICTURES, dtype=np.int64)]
        seen[line, : len(rows)] = rows
        mask[line, : len(rows)] = 1
    return seen, mask


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    random_weights: int | None = None,
    look: Mapping[str, str] = MappingProxyType({}),
    pace: Pace = EXACT,
) -> Clip2Video:
    """With the weights of a file, all of whose sizes are read off it, or with random ones of the authors'
    sizes. A variant names a CLIP of open_clip's in place of theirs."""
    device = ready(device, pace, weights, random_weights)
    name = f"{FAMILY}:{variant}" if variant else FAMILY
    recipe = _recipe(variant) if variant else None
    clip = {**recipe.config, "quick_gelu": recipe.is_quick} if recipe else None
    if random_weights is not None:
        hash = f"{RANDOM}{seed_of(random_weights)}"
        shape = Shape() if clip is None else Shape(clip, Sizes(width=int(clip["embed_dim"])))
        model = drawn(shape, random_weights)
    elif weights is not None:
        hash, state, file = hash_of(weights), renamed(read(weights)), called(weights)
        shape = Read(state, file, name).shape(clip)
        _require_words(shape, file, name)
        model = filled(state, shape, file=file, name=name)
    else:
        raise EncoderError(f"{name} needs --weights FILE: {BY_HAND[FAMILY]}.")
    recipe = recipe or Recipe("", shape.clip, {})
    options = recipe.options() if variant else ()
    seen = recipe.look().but(look)
    spec = EncoderSpec(name, 2 * shape.temporal.width, seen, weights=hash, options=options, sampling=SAMPLING)
    encoder = Clip2Video(spec, model, device)
    encoder.tower.begin(pace)
    return encoder


def _recipe(variant: str) -> Recipe:
    """Of a CLIP that reads texts as the authors' does."""
    if "/" in variant and not variant.startswith(LOCAL_DIR):
        raise EncoderError(
            f"{FAMILY}:{variant} names weights of a CLIP alone, which lack the temporal blocks; "
            f"{FAMILY}:{variant.partition('/')[0]} with --weights FILE has them."
        )
    recipe = recipe_of(variant)
    text = {**_TEXT, **{name: value for name, value in recipe.text.items() if name in _TEXT}}
    config, words = recipe.config, recipe.text.get("context_length", WORDS)
    is_other = text != _TEXT or words < WORDS or config.get("custom_text") or "multimodal_cfg" in config
    if is_other or int(config["embed_dim"]) % HEAD:
        raise EncoderError(
            f"{FAMILY} needs a CLIP that reads texts as OpenAI's do and makes vectors of a multiple of "
            f"{HEAD} numbers; {variant} is none, and ViT-B-32 is one."
        )
    return recipe


def _require_words(shape: Shape, file: str, name: str) -> None:
    if (count := shape.clip["text_cfg"].get("vocab_size", _TEXT["vocab_size"])) != _TEXT["vocab_size"]:
        raise EncoderError(
            f"{file} does not fit {name}: it knows {count} word pieces, not {_TEXT['vocab_size']}."
        )
