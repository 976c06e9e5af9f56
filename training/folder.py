"""What lies in a training's folder before its first step: the vocabulary and the model's own config."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from open_clip.tokenizer import SimpleTokenizer

from extractor.encoders.recipe import CONFIG
from extractor.world.lexicon import words
from training.recipe import Recipe
from training.vocabulary import write_vocabulary

VOCABULARY = "bpe.txt.gz"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a model is made by."""

    config: dict[str, Any]
    tokenizer: SimpleTokenizer


def begin(folder: Path, recipe: Recipe) -> Begun:
    """Written anew each time: both follow from the recipe and from the world's words."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / VOCABULARY
    config = recipe.config(write_vocabulary(vocabulary, words() | {",", ":", "-"}))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    return Begun(config, SimpleTokenizer(bpe_path=str(vocabulary), context_length=recipe.context))
