"""A starter that has hardly begun to learn, as it is released."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from extractor.encoders import hub
from training.motion import MotionRecipe, prepared, recipe_for, release
from training.recipe import Recipe
from training.starter import prepared as starter_prepared

TINY = Recipe(steps=4, batch=16, width=8, dim=64, text_layers=1, warm_share=0.0)


def barely_starter(folder: Path, seed: int = 0) -> Path:
    """Its folder, with nothing but what ships."""
    folder.mkdir(parents=True)
    model = starter_prepared(folder, TINY).model
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    state = {name: value.half() if value.is_floating_point() else value for name, value in
             model.state_dict().items()}  # fmt: skip
    save_file({name: value.contiguous() for name, value in state.items()}, folder / hub.SAFE)
    return folder


def barely_shipped(folder: Path) -> Path:
    """A folder as the one that ships: a starter, and motion over it."""
    barely_starter(folder / "starter")
    return with_motion(folder)


def with_motion(folder: Path) -> Path:
    """Motion over the starter that is in it."""
    starter = folder / "starter"
    (folder / "starter-motion").mkdir()
    training = prepared(starter, folder / "training-motion", tiny(starter))
    release(training, folder / "starter-motion" / "model.safetensors")
    return folder


def tiny(starter: Path) -> MotionRecipe:
    """Of few steps and clips."""
    return replace(recipe_for(starter, 0, 8), batch=16, rate=2e-2, layers=1, centres=3, outside=4)
