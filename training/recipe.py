"""How long, how fast and on what an encoder is trained: all that its weights follow from, and its size."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Shares are of the steps."""

    seed: int = 0
    steps: int = 6_000
    batch: int = 256
    side: int = 64
    width: int = 24  # of the first layers of the picture tower
    dim: int = 192
    text_layers: int = 4
    context: int = 64
    rate: float = 2e-3
    warm_share: float = 0.2  # with heads alone and no text
    bound_share: float = 0.0  # at the end, anew from the whole rate: which colour is whose, and where
    sentences: int = 128  # of that alone, of no picture, beside the captions of such a batch
    last_words: int = 4  # of a sentence, which tell it, and not only its end
    after: str = ""  # the hash of the weights that it begins with
    clips_share: float = 0.0  # of batches once pictures are learned and only texts go on: clips
    clip_pictures: int = 4
    grouped_share: float = 0.5  # of batches once there are texts
    polish_share: float = 0.1  # at a tenth of the rate, at the end; and before bindings have their turn
    alone_share: float = (
        0.5  # of pictures before that: of one thing, beside those that have but one by chance
    )
    outside: int = 32  # everyday sentences beside the captions of a batch
    coded_share: float = 0.1  # of batches: as a video file leaves pictures
    heads_weight: float = 0.5  # beside texts
    batch_weight: float = 0.3  # of the loss over a batch of groups
    decay: float = 0.998  # of the mean of weights, which is what is released

    def config(self, words: int) -> dict[str, Any]:
        """open_clip's own, for a vocabulary of so many pieces."""
        vision = {"image_size": self.side, "layers": [1, 1, 1, 1], "width": self.width, "patch_size": None}
        text = {
            "context_length": self.context,
            "vocab_size": words,
            "width": self.dim,
            "heads": self.dim // 64,
            "layers": self.text_layers,
        }
        return {
            "model_cfg": {"embed_dim": self.dim, "vision_cfg": vision, "text_cfg": text},
            "preprocess_cfg": {
                "mean": MEAN,
                "std": STD,
                "interpolation": "bicubic",
                "resize_mode": "shortest",
            },
        }

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def has_texts(self, step: int) -> bool:
        """Whether texts have their turn."""
        return step >= self.warm_share * self.steps

    @property
    def texts_only(self) -> bool:
        """Whether the picture tower stays as it is."""
        return self.clips_share > 0

    def is_bound(self, step: int) -> bool:
        """Whether bindings have their turn."""
        return step >= self._first

    def rate_at(self, step: int) -> float:
        """Twice up in 60 steps, then a half wave down; the polish at a tenth."""
        if self.is_bound(step):
            return _wave(self.rate, step - self._first, self.steps - self._first, self.polish_share)
        return _wave(self.rate, step, self._first, self.polish_share)

    @property
    def _first(self) -> int:
        """Steps until then."""
        return round(self.steps * (1 - self.bound_share))


def _wave(rate: float, step: int, steps: int, polish_share: float) -> float:
    polish = int(steps * (1 - polish_share))
    if step >= polish:
        return rate / 10 * (1 - (step - polish) / max(1, steps - polish))
    return rate * min(1.0, (step + 1) / 60) * (0.55 + 0.45 * cos(pi * step / polish))
