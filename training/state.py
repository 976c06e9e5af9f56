"""Where a training is: weights, their mean and the optimizer, in a file that appears whole. A training
that was killed goes on from the last one; what it draws follows from the number of the step."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.errors import UsageError
from training.recipe import Recipe

_FILE = "state.safetensors"


@dataclass
class State:
    """Of one model and its heads."""

    model: nn.Module
    mean: dict[str, Tensor]  # what is released
    optimizer: torch.optim.Optimizer
    step: int = 0

    def learn(self, loss: Callable[[], Tensor], recipe: Recipe, number: int) -> float:
        """One step, by a loss that is computed in bf16 where that is exact enough; the loss."""
        for slot in self.optimizer.param_groups:
            slot["lr"] = recipe.rate_at(number)
        device = next(self.model.parameters()).device.type
        # On a CPU the fused attention's way back over such short texts takes a quarter of the whole step.
        attention = sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
        with attention:
            with torch.autocast(device, torch.bfloat16):
                found = loss()
            self.optimizer.zero_grad(set_to_none=True)
            found.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step = number + 1
        self.average(recipe.decay)
        return float(found.detach())

    def average(self, decay: float) -> None:
        """One step of the mean; early on it forgets faster, so that it does not begin with noise."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.mean[name].lerp_(value.float(), 1 - decay)
                else:
                    self.mean[name].copy_(value)

    def save(self, folder: Path, recipe: Recipe) -> None:
        """Over the one before."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"mean.{name}": value for name, value in self.mean.items()}
        for number, held in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in held.items()}
        about = {"step": str(self.step), "recipe": json.dumps(_plain(recipe))}
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        save_file(tensors, folder / (_FILE + ".new"), about)
        os.replace(folder / (_FILE + ".new"), folder / _FILE)

    def load(self, folder: Path, recipe: Recipe) -> bool:
        """Go on where it was, if there is anything; a training by another recipe is refused."""
        path = folder / _FILE
        if not path.exists():
            return False
        about, held = _kept(path)
        if json.loads(about["recipe"]) != _plain(recipe):
            raise UsageError(f"{path} belongs to another recipe; give another folder.")
        self.step = int(about["step"])
        self.model.load_state_dict(under(held, "model."))
        for name, value in under(held, "mean.").items():
            self.mean[name].copy_(value)
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in under(held, "optimizer.").items():
            number, _, key = name.partition(".")
            slots.setdefault(int(number), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        return True


def state_of(model: nn.Module, recipe: Recipe) -> State:
    """Before the first step."""
    mean = {name: value.detach().clone() for name, value in model.state_dict().items()}
    plain = [p for p in model.parameters() if p.ndim < 2]
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    return State(model, mean, torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98)))


def under(held: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of them."""
    return {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}


def _kept(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What is said of a state, and its tensors."""
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UsageError(f"{path} is damaged; remove it to begin anew.") from error
    if not {"step", "recipe"} <= about.keys():
        raise UsageError(f"{path} is no state of a training; give another folder.")
    return about, held


def _plain(recipe: Recipe) -> dict[str, object]:
    return json.loads(json.dumps(asdict(recipe)))  # type: ignore[no-any-return]
