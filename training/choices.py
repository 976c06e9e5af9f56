"""For each caption a clip that is right and some that are not, from the pictures of a batch that are there
already: the clip backwards, and as little of it as a cut leaves of it. In films they are as often met."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.types import IntArray
from extractor.world.chance import Chance
from extractor.world.query import satisfies
from training.moving import Moving

_CUT = (0.3, 0.85)  # so much of a clip is left


@dataclass(frozen=True, slots=True)
class Choices:
    """Between three clips for each of n captions: its own, which is right, and two that may be wrong."""

    index: list[IntArray]  # the pictures of n that are backwards and of n that are cut
    wrong: Tensor  # [n, 2]: whether they are


def choices(clips: Moving, chance: Chance) -> Choices:
    """What a caption is as true of is no choice for it."""
    index, scenes = clips.index, clips.scenes
    others = [(i + 1 + chance.below(len(index) - 1)) % len(index) for i in range(len(index))]
    backwards = [rows[::-1].copy() for rows in index]
    cut = [_shared(index[i], index[j], chance) for i, j in enumerate(others)]
    wrong = [
        (not satisfies(scenes[i].reversed(), claim), not satisfies(scenes[j], claim))
        for i, (j, claim) in enumerate(zip(others, clips.claims, strict=True))
    ]
    return Choices([*backwards, *cut], torch.tensor(wrong))


def loss(clips: Tensor, others: Tensor, spoken: Tensor, scale: Tensor, wrong: Tensor) -> Tensor:
    """Of n clips and, as in Choices, 2 n others, against n captions."""
    a, b = F.normalize(torch.cat([clips, others]).float(), dim=1), F.normalize(spoken.float(), dim=1)
    scores = scale.exp() * (a.reshape(-1, *b.shape) * b).sum(dim=2).T
    known = F.pad(wrong.to(scores.device), (1, 0), value=True)
    right = torch.zeros(len(b), dtype=torch.long, device=scores.device)
    return F.cross_entropy(scores.masked_fill(~known, float("-inf")), right)


def _shared(one: IntArray, other: IntArray, chance: Chance) -> IntArray:
    """The end of one and then the beginning of the other, or the other way round."""
    missing = 1 - chance.between(*_CUT)
    whole = min(len(one), int(len(other) / missing))
    rest = max(1, round(missing * whole))
    own = whole - rest
    if chance.yes(0.5):
        return np.concatenate([one[len(one) - own :], other[:rest]])
    return np.concatenate([other[len(other) - rest :], one[:own]])
