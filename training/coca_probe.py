"""What a small CoCa knows, by its family's own code and in a quarter of the table's galleries, on validation
scenes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from core.types import EncoderSpec
from extractor.encoders.open_clip import Model
from extractor.encoders.recipe import Recipe
from extractor.encoders.starter_coca import FAMILY, SAMPLING
from extractor.encoders.videococa import VideoCoCa
from training.coca_model import make
from training.measures.captions import captioned
from training.measures.galleries import retrieved
from training.measures.sight import Sight
from training.measures.zero_shot import zero_shot

_SIZE = 0.25


def encoder_of(config: dict[str, Any], weights: dict[str, Tensor], tokenizer: Any, device: str) -> VideoCoCa:
    """Of weights that are in no file yet."""
    recipe = Recipe("", config["model_cfg"], config["preprocess_cfg"], is_listed=False)
    spec = EncoderSpec(FAMILY, config["model_cfg"]["embed_dim"], recipe.look(), sampling=SAMPLING)
    module = make(config, 0)
    module.load_state_dict(weights)
    return VideoCoCa(Model(spec, module.eval().requires_grad_(False), tokenizer), device)


def probed(encoder: VideoCoCa, seed: int, size: float = _SIZE) -> dict[str, float]:
    """Figures by the names that `training.measure` gives them."""
    sight = Sight(encoder, "validation", seed, size)
    lines = [*zero_shot(sight), *captioned(sight), *retrieved(sight)]
    return {line.measure.replace("→", "to"): line.figure for line in lines}
