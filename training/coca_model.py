"""A small CoCa of open_clip's, as the family `videococa` uses it: the tokens of all pictures of a clip go
through one attentional pooler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from open_clip import CoCa
from torch import Tensor, nn
from torch.nn import functional as F

from extractor.encoders.videococa import Trunk

_CUSTOM = "custom_text"  # of open_clip's config, for its factory


def make(config: dict[str, Any], seed: int) -> CoCa:
    """With weights by chance."""
    torch.manual_seed(seed)
    held = config["model_cfg"]
    model = CoCa(**{name: value for name, value in held.items() if name != _CUSTOM})
    decoder = model.text_decoder  # whose last matrix open_clip leaves as memory was
    nn.init.normal_(decoder.text_projection, std=decoder.width**-0.5)
    return model


@dataclass(frozen=True, slots=True)
class Seen:
    """n clips of as many pictures each."""

    vectors: Tensor  # [n, dim], not brought to any length
    tokens: Tensor  # [n, queries but one, dim]: what captions are made of
    early: Tensor  # [all pictures, width, patches down, patches across]: half-way through the tower
    places: Tensor  # the same at its end


def seen(model: CoCa, pictures: Tensor, frames: int) -> Seen:
    """Of [n · frames, …] pictures."""
    visual: Any = model.visual
    half: list[Tensor] = []
    layers = visual.transformer.resblocks
    hook = layers[(len(layers) - 1) // 2].register_forward_hook(lambda _, __, found: half.append(found))
    try:
        tokens: Tensor = Trunk(visual)(pictures)
    finally:
        hook.remove()
    found, rest = visual._pool(tokens.reshape(len(tokens) // frames, -1, tokens.shape[-1]))
    early, late = (
        each[:, 1:].transpose(1, 2).reshape(len(each), -1, *visual.grid_size) for each in (*half, tokens)
    )
    return Seen(found @ visual.proj, rest, early, late)


def texts(model: CoCa, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [n, dim], not brought to any length, and what each word is to those before it [n, length,
    width]; the batch is cut behind its longest text."""
    text: Any = model.text
    ends = ids.argmax(dim=1)
    length = min(int(ends.max()) + 2, ids.shape[1])  # the class sees the first padding, as in open_clip's
    ids = ids[:, :length].to(text.positional_embedding.device)
    words = text.token_embedding(ids) + text.positional_embedding[:length]
    last = (text.cls_emb + text.positional_embedding[-1]).expand(len(ids), 1, -1)
    x = torch.cat([words, last], dim=1)
    heard = torch.cat([torch.ones_like(ids[:, :1], dtype=torch.bool), ids != text.pad_id], dim=1)
    mask = torch.zeros(x.shape[:2], device=x.device).masked_fill_(~heard, float("-inf"))
    mask = mask[:, None] + text.attn_mask[: length + 1, : length + 1]
    x = text.transformer(x, attn_mask=mask.repeat_interleave(text.heads, 0))
    return text.ln_final(x[:, -1]) @ text.text_projection, x[:, :-1]


def caption_loss(model: CoCa, tokens: Tensor, words: Tensor, ids: Tensor) -> Tensor:
    """Of each next word of n captions, by what their clips show and the words before it."""
    logits = model.text_decoder(tokens, words[:, :-1])
    right = ids[:, 1 : words.shape[1]].to(logits.device)
    return F.cross_entropy(logits.flatten(0, 1).float(), right.flatten(), ignore_index=model.pad_id)
