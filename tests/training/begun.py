"""Trainings that have barely begun, and what ships of them: whole, and worth nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from extractor.encoders.starter_motion import FILE
from training import motion
from training.loop import Every, run
from training.motion import MotionRecipe, recipe_for
from training.recipe import Recipe
from training.release import release
from training.starter import Training, prepared

TINY = Recipe(steps=4, batch=8, width=8, dim=64, text_layers=1, coded_share=0.0, warm_share=0.5)
NOTHING_TOLD = Every(told=99, saved=99, probed=99)


def begun(folder: Path, recipe: Recipe = TINY) -> Training:
    """All its steps are done, and it is kept."""
    training = prepared(folder, recipe)
    training.model.train()
    run(training, folder, float("inf"), dict, NOTHING_TOLD)
    return training


def released(folder: Path, seed: int = 0, dim: int = TINY.dim, recipe: Recipe = TINY) -> Path:
    """The folder of a starter as it ships."""
    begun(folder / "training", replace(recipe, seed=seed, dim=dim))
    release(folder / "training", folder / "starter")
    return folder / "starter"


def motion_released(folder: Path) -> Path:
    """A folder with both as they ship: a starter, and motion over it."""
    starter = released(folder)
    training = motion.prepared(starter, folder / "motion", tiny_motion(starter))
    (folder / "starter-motion").mkdir()
    motion.release(training, folder / "starter-motion" / FILE)
    return folder


def tiny_motion(starter: Path) -> MotionRecipe:
    """Of few steps and clips."""
    return replace(recipe_for(starter, 0, 8), batch=16, rate=2e-2, layers=1, centres=3, outside=4)
