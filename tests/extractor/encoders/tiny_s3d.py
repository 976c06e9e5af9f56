"""S3D small enough for tests, in the file format of its authors."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from extractor.encoders.s3d_model import Sizes, drawn

WORDS = ("red", "green", "blue", "white", "yellow", "circle", "square", "don't", "moves")


def state(seed: int, *, dim: int = 32) -> dict[str, Tensor]:
    """All tensors by their names. Norms cut some off and gates differ, as in no fresh one, so that videos
    are told apart."""
    few = {name: (4, 4, 6, 4, 4, 5) for name in Sizes().blocks}
    sizes = Sizes(first=8, second=6, third=10, blocks=few, dim=dim, words=len(WORDS) + 1, word=8, hidden=16)
    found = drawn(sizes, seed).state_dict()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        for key, tensor in found.items():
            if key.endswith("running_var"):
                tensor.fill_(0.6)
            elif ".bn" in key and key.endswith("bias"):
                tensor.normal_(-0.1, 0.05)
            elif tensor.dim() > 1:
                spread = (3.0 / tensor[0].numel()) ** 0.5
                tensor.normal_(std=0.7 * spread if "gating" in key else spread)
    return found


def file(path: Path, seed: int, *, dim: int = 32) -> Path:
    """As `torch.save` writes it."""
    torch.save(state(seed, dim=dim), path)
    return path


def word_list(path: Path) -> Path:
    """The words that it knows."""
    path.write_text(json.dumps(WORDS))
    return path
