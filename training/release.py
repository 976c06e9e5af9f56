"""What ships of a training: the mean of its weights in half precision, with open_clip's config and the
vocabulary, as a folder that `open_clip:local-dir:DIR` loads; of a CoCa, `videococa:local-dir:DIR`.

python -m training.release FOLDER --out DIR
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core import files
from core.errors import Error, UsageError
from extractor.encoders.hub import SAFE
from extractor.encoders.recipe import CONFIG
from training.coca_model import make as make_coca
from training.folder import VOCABULARY
from training.model import make

STATE = "state.safetensors"
_MEAN = "mean.clip."


def release(training: Path, out: Path) -> dict[str, str]:
    """Into a folder that is new, whole or not at all; the facts that are in it."""
    if out.exists():
        raise UsageError(f"{out} is there already; remove it, or name another folder.")
    config = _config(training)
    weights, facts = _trained(training / STATE)
    facts["made_by"] = "training.coca" if _is_coca(config) else "training.starter"
    _require_fit(config, weights, training)
    with files.draft(out) as draft:
        (draft / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        shutil.copyfile(training / VOCABULARY, draft / VOCABULARY)
        save_file({name: _shipped(value) for name, value in weights.items()}, draft / SAFE, facts)
        (draft / SAFE).chmod(0o644)  # for whoever installs it, and not only for who made it
    return facts


def _config(training: Path) -> dict[str, Any]:
    """The training's own, with the vocabulary beside it."""
    for name in (CONFIG, VOCABULARY, STATE):
        if not (training / name).is_file():
            raise UsageError(f"{training} is no folder of a training: it has no {name}.")
    config: dict[str, Any] = json.loads((training / CONFIG).read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": VOCABULARY}
    return config


def _trained(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The mean of the model's weights, and how they came to be."""
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            names = [name for name in file.keys() if name.startswith(_MEAN)]  # noqa: SIM118
            weights = {name.removeprefix(_MEAN): file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise UsageError(f"{path} is no safetensors file, or a damaged one: {error}.") from error
    if not weights or not {"recipe", "step"} <= set(about):
        raise UsageError(f"{path} is no training's state: it has no {_MEAN}… with a recipe and a step.")
    recipe = json.loads(about["recipe"])
    facts = {"steps": f"{about['step']} of {recipe['steps']}", "seed": str(recipe["seed"])}
    return weights, {"format": "pt", "recipe": about["recipe"], **facts}


def _is_coca(config: dict[str, Any]) -> bool:
    return "multimodal_cfg" in config["model_cfg"]


def _require_fit(config: dict[str, Any], weights: dict[str, Tensor], training: Path) -> None:
    """What would not load is not shipped."""
    model = make_coca(config, 0) if _is_coca(config) else make(config, 0)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        raise UsageError(
            f"{training}/{STATE} does not fit {CONFIG}: {lines[-1].strip().rstrip('.')}."
        ) from error


def _shipped(value: Tensor) -> Tensor:
    """Half precision; what is of one number a channel stays as it is: it weighs nothing, and the variances of
    a batch norm may be too small or too large for halves."""
    return (value.to(torch.float16) if value.is_floating_point() and value.ndim > 1 else value).contiguous()


def main(argv: list[str] | None = None) -> int:
    """Release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the training")
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    asked = parser.parse_args(argv)
    try:
        facts = release(asked.folder, asked.out)
    except Error as error:
        parser.error(str(error))
    size = sum(path.stat().st_size for path in asked.out.iterdir())
    sys.stdout.write(f"{asked.out}: {size / 1e6:.1f} MB, {facts['steps']} steps, seed {facts['seed']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
