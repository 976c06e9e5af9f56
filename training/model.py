"""A small model of open_clip's, and heads that are thrown away when it is trained."""

from __future__ import annotations

from typing import Any, cast

import torch
from open_clip import CLIP
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from torch import Tensor, nn
from torch.nn import functional as F

from extractor.world.colours import COLOURS
from extractor.world.grounds import GROUNDS, Pixels
from extractor.world.shapes import SHAPES
from training.bindings import BindingHeads
from training.labels import CELLS, MOST_COUNT, Labels, Things
from training.recipe import MEAN, STD

_MOST_SCALE = 100.0
_LENGTHS = 4  # groups of texts


def make(config: dict[str, Any], seed: int) -> CLIP:
    """With weights by chance."""
    torch.manual_seed(seed)
    held = config["model_cfg"]
    return CLIP(held["embed_dim"], CLIPVisionCfg(**held["vision_cfg"]), CLIPTextCfg(**held["text_cfg"]))


def device_of(model: nn.Module) -> torch.device:
    """Where it computes."""
    return next(model.parameters()).device


def seen_places(model: CLIP, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [n, dim], not brought to any length, and the map of CELLS · CELLS places under them."""
    kept: list[Tensor] = []
    layer = model.visual.layer3  # of a ResNet: a sixteenth of the picture's side
    hook = layer.register_forward_hook(lambda _, __, found: kept.append(found))
    try:
        vectors = model.encode_image(pictures)
    finally:
        hook.remove()
    (places,) = kept
    return vectors, F.adaptive_avg_pool2d(places, CELLS)


def input_of(pictures: Pixels, device: torch.device) -> Tensor:
    """uint8 [n, side, side, 3] as the picture tower takes them."""
    values = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float().div_(255)
    mean, std = (torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (MEAN, STD))
    return (values - mean) / std


def texts(model: CLIP, tokens: Tensor) -> Tensor:
    """[n, dim], not brought to any length."""
    return last_words(model, tokens, 1)[:, 0]


def last_words(model: CLIP, tokens: Tensor, count: int) -> Tensor:
    """[n, count, dim]: a text's vector, and what it would be if it were read a word, two words, … before its
    end. Texts of a length go together, cut where the longest of them ends: most are short, and one long
    sentence would double the work."""
    order = tokens.argmax(dim=1).argsort(stable=True)
    parts = [_together(model, tokens[some], count) for some in order.chunk(_LENGTHS)]
    return torch.cat(parts)[order.argsort()]


def _together(model: CLIP, tokens: Tensor, count: int) -> Tensor:
    length = int(tokens.argmax(dim=1).max()) + 1
    tokens = tokens[:, :length].to(device_of(model))
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    before = torch.arange(count, device=x.device)
    ends = (tokens.argmax(dim=1)[:, None] - before).clamp(min=0)
    found = x[torch.arange(len(x), device=x.device)[:, None], ends]
    return cast(Tensor, found @ model.text_projection)


class Heads(nn.Module):
    """From a picture's vector, and from the map of places under it, to what the renderer knows: so they come
    to hold it. A place is told what lies there, and needs not guess which of several things is meant."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.kinds = nn.Linear(channels, len(SHAPES) + len(COLOURS))
        self.shapes = nn.Linear(dim, len(SHAPES))
        self.colours = nn.Linear(dim, len(COLOURS))
        self.places = nn.Linear(dim, CELLS * CELLS)
        self.counts = nn.Linear(dim, MOST_COUNT + 1)
        self.grounds = nn.Linear(dim, len(GROUNDS))
        self.bound = BindingHeads(dim)

    def loss(self, vectors: Tensor, places: Tensor, known: Labels) -> Tensor:
        """The sum over all heads but those of bindings; of places [n, channels, CELLS, CELLS], where things
        are."""
        return self._of_vectors(vectors, known) + self._of_places(places, known.things)

    def told(self, places: Tensor, things: Things) -> tuple[Tensor, Tensor]:
        """Scores of shapes and of colours for each thing, where it lies."""
        scenes, cells = (torch.from_numpy(n).to(places.device) for n in (things.scenes, things.cells))
        found: Tensor = self.kinds(places.flatten(2).transpose(1, 2)[scenes, cells])
        return found[:, : len(SHAPES)], found[:, len(SHAPES) :]

    def _of_places(self, places: Tensor, things: Things) -> Tensor:
        if not len(things.scenes):
            return places.new_zeros(())
        shapes, colours = (torch.from_numpy(n).to(places.device) for n in (things.shapes, things.colours))
        shape, colour = self.told(places, things)
        return F.cross_entropy(shape, shapes) + F.cross_entropy(colour, colours)

    def _of_vectors(self, vectors: Tensor, known: Labels) -> Tensor:
        device = vectors.device
        found = torch.zeros((), device=device)
        for head, bits in (
            (self.shapes, known.shapes),
            (self.colours, known.colours),
            (self.places, known.places),
        ):
            right = torch.from_numpy(bits).to(device)
            found = found + 4 * F.binary_cross_entropy_with_logits(head(vectors), right)
        for head, numbers in ((self.counts, known.counts), (self.grounds, known.grounds)):
            found = found + F.cross_entropy(head(vectors), torch.from_numpy(numbers).to(device))
        return found


def contrast(
    pictures: Tensor, sentences: Tensor, scale: Tensor, groups: list[int], batch_weight: float
) -> Tensor:
    """InfoNCE both ways; of groups within each of them, and over the batch with a weight. Sentences behind
    those of the pictures are true of none."""
    a, b = F.normalize(pictures.float(), dim=1), F.normalize(sentences.float(), dim=1)
    scores = scale.exp().clamp(max=_MOST_SCALE) * a @ b.T
    if max(groups) < 0:
        return _both_ways(scores)
    of = torch.tensor(groups, device=scores.device)
    inside = scores[:, : len(of)].masked_fill(of[:, None] != of[None], float("-inf"))
    return _both_ways(inside) + batch_weight * _both_ways(scores)


def _both_ways(scores: Tensor) -> Tensor:
    right = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T[: len(scores)], right)) / 2
