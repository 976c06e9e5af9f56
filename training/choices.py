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

_HELD = (0.7, 1.0)  # of a clip: so much is enough
_CUT = (0.25, 0.5)  # and so much is not
KINDS = 3  # of clips: right, backwards, cut


@dataclass(frozen=True, slots=True)
class Choices:
    """Between KINDS clips for each of n captions, the first of which is right."""

    index: list[IntArray]  # the pictures of n right ones, of n backwards and of n that are cut
    known: Tensor  # [n, KINDS]: whether it is right or wrong for sure


def choices(clips: Moving, chance: Chance) -> Choices:
    """What a caption is as true of is no choice for it."""
    index, scenes = clips.index, clips.scenes
    others = [(i + 1 + chance.below(len(index) - 1)) % len(index) for i in range(len(index))]
    right = [_shared(index[i], index[j], chance, _HELD) for i, j in enumerate(others)]
    cut = [_shared(index[i], index[j], chance, _CUT) for i, j in enumerate(others)]
    known = [
        (True, not satisfies(scenes[i].reversed(), claim), not satisfies(scenes[j], claim))
        for i, (j, claim) in enumerate(zip(others, clips.claims, strict=True))
    ]
    return Choices([*right, *(rows[::-1].copy() for rows in index), *cut], torch.tensor(known))


def loss(clips: Tensor, spoken: Tensor, scale: Tensor, known: Tensor) -> Tensor:
    """Of vectors [KINDS · n, dim] against those of n captions."""
    a, b = F.normalize(clips.float(), dim=1), F.normalize(spoken.float(), dim=1)
    scores = scale.exp() * (a.reshape(KINDS, len(b), -1) * b).sum(dim=2).T
    right = torch.zeros(len(b), dtype=torch.long, device=scores.device)
    return F.cross_entropy(scores.masked_fill(~known.to(scores.device), float("-inf")), right)


def _shared(one: IntArray, other: IntArray, chance: Chance, shares: tuple[float, float]) -> IntArray:
    """The end of one and then the beginning of the other, or the other way round."""
    missing = 1 - chance.between(*shares)
    whole = min(len(one), int(len(other) / missing)) if missing else len(one)
    rest = round(missing * whole)
    own = whole - rest
    if chance.yes(0.5):
        return np.concatenate([one[len(one) - own :], other[:rest]])
    return np.concatenate([other[len(other) - rest :], one[:own]])
