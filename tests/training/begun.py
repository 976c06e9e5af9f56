"""A training that has barely begun, and what ships of it: whole, and worth nothing."""

from __future__ import annotations

from pathlib import Path

from training.recipe import Recipe
from training.release import release
from training.starter import Training, prepared

TINY = Recipe(steps=4, batch=8, width=8, dim=64, text_layers=1, coded_share=0.0, warm_share=0.5)


def begun(folder: Path, recipe: Recipe = TINY) -> Training:
    """All its steps are done, and it is kept."""
    training = prepared(folder, recipe)
    training.model.train()
    for number in range(recipe.steps):
        training.step(number)
    training.state.save(folder, recipe)
    return training


def released(folder: Path) -> Path:
    """Its folder as it ships."""
    begun(folder / "training")
    release(folder / "training", folder / "starter")
    return folder / "starter"
