"""What a starter that is trained already teaches a small CoCa: a tower of patches comes to shapes late by
labels alone, and sooner by what another one makes of the same pictures, place by place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from open_clip import CLIP, CoCa
from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UsageError
from extractor.encoders.open_clip import model_of
from extractor.encoders.recipe import LOCAL_DIR, recipe_of
from training.coca_model import Seen
from training.model import texts

_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Shown:
    """What a picture tower makes of n clips, and of all their pictures."""

    vectors: Tensor  # [clips, dim]
    early: Tensor  # [pictures, channels, places down, across]: half-way
    places: Tensor  # the same, of its last layer


class Teacher:
    """A starter, as it was released."""

    def __init__(self, folder: Path, device: str) -> None:
        model = model_of(recipe_of(f"{LOCAL_DIR}{folder}"), None, None, {})
        if not isinstance(getattr(model.module, "visual", None), ModifiedResNet):
            raise UsageError(f"{folder} holds no starter: its picture tower is no residual network.")
        self.clip = cast(CLIP, model.module).float().to(device)
        self.clip.visual.to(memory_format=torch.channels_last)
        self.dim = model.spec.dim
        self._maps: list[Tensor] = []
        for layer in (self.clip.visual.layer2, self.clip.visual.layer3):
            layer.register_forward_hook(lambda _, __, found: self._maps.append(found))

    @torch.no_grad()
    def sees(self, pictures: Tensor, frames: int) -> Shown:
        """Of a clip it has the mean of its pictures."""
        self._maps.clear()
        found = self.clip.encode_image(pictures.contiguous(memory_format=torch.channels_last))
        early, late = self._maps
        vectors = F.normalize(found.float(), dim=1).reshape(-1, frames, found.shape[1]).mean(dim=1)
        return Shown(vectors, early.float(), late.float())

    @torch.no_grad()
    def says(self, ids: Tensor) -> Tensor:
        """Vectors of texts, by their pieces."""
        return texts(self.clip, ids).float()

    def hands_on(self, model: CoCa) -> None:
        """Words, and the first layers over them: a text tower of the same width begins with those."""
        held: dict[str, Tensor] = self.clip.state_dict()
        text: Any = model.text
        mine = text.state_dict()
        for name in mine.keys() & held.keys():
            if mine[name].shape == held[name].shape:
                mine[name].copy_(held[name])
        places = held["positional_embedding"]
        mine["positional_embedding"][: len(places)].copy_(places)


class Lesson(nn.Module):
    """How far pupil and teacher lie apart; the maps between their places are thrown away afterwards."""

    def __init__(self, width: int, teacher: Teacher) -> None:
        super().__init__()
        visual: Any = teacher.clip.visual
        self.early = nn.Linear(width, visual.layer2[-1].conv3.out_channels)
        self.late = nn.Linear(width, visual.layer3[-1].conv3.out_channels)

    def forward(self, mine: Seen, right: Shown) -> Tensor:
        """Of vectors, and of places."""
        found = apart(mine.vectors, right.vectors)
        for way, places, wanted in (
            (self.early, mine.early, right.early),
            (self.late, mine.places, right.places),
        ):
            near = F.adaptive_avg_pool2d(places.float(), wanted.shape[-1]).permute(0, 2, 3, 1)
            told = way(F.layer_norm(near, near.shape[-1:])).permute(0, 3, 1, 2)
            found = found + F.mse_loss(told.float(), _even(wanted))
        return found


def apart(mine: Tensor, right: Tensor) -> Tensor:
    """By how much vectors miss the directions they should have."""
    return (1 - F.cosine_similarity(mine.float(), right)).mean()


def _even(places: Tensor) -> Tensor:
    """Each channel by its own mean and spread: else the loudest is all that is learned."""
    mean, spread = places.mean((0, 2, 3), keepdim=True), places.std((0, 2, 3), keepdim=True)
    return (places - mean) / (spread + _EPSILON)
