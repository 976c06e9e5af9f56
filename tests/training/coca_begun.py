"""A training of a small CoCa that has barely begun, and what ships of it: whole, and worth nothing."""

from __future__ import annotations

from pathlib import Path

from tests.training.begun import NOTHING_TOLD
from tests.training.begun import released as starter_released
from training.coca import CocaRecipe, Training, prepared, recipe_for
from training.loop import run
from training.release import release

TINY = CocaRecipe(
    steps=8,
    batch=16,
    frames=(1, 2, 4),
    width=64,
    layers=1,
    dim=64,
    queries=4,
    text_layers=1,
    decoder_layers=1,
    rate=1e-2,
    outside=4,
    warm_share=0.25,
    coded_share=0.0,
)


def begun(starter: Path, folder: Path, recipe: CocaRecipe = TINY) -> Training:
    """All its steps are done, and it is kept."""
    training = prepared(starter, folder, recipe_for(starter, recipe))
    training.model.train()
    run(training, folder, float("inf"), dict, NOTHING_TOLD)
    return training


def released(folder: Path) -> Path:
    """Its folder as it ships."""
    begun(starter_released(folder / "teacher"), folder / "training")
    release(folder / "training", folder / "starter-coca")
    return folder / "starter-coca"
