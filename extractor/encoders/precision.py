"""How exactly pictures are encoded: with half the bits where that is quick, and shown to be near enough."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor

from core.errors import EncoderError, UsageError
from core.types import EncoderSpec
from extractor.encoders.trial import trial_pictures, trial_runs

log = logging.getLogger(__name__)

Name = Literal["fp32", "bf16", "fp16"]
Features = Callable[[Tensor], Tensor]

LEAST_COSINE = 0.9995  # to fp32, of every picture of the trial; what `verify` asks of real ones is less
PICTURES, RUNS = 16, 4
_TYPES: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # what processors call it; others only emulate it
_AMPERE = (8, 0)  # the first GPUs that have it


@dataclass(frozen=True, slots=True)
class Precision:
    """What pictures are encoded in, and the worst cosine to fp32 of the trial, if one was made."""

    name: Name = "fp32"
    cosine: float | None = None
    is_settled: bool = True  # or the trial is still to come


def settle(
    tower: torch.nn.Module, features: Features, spec: EncoderSpec, asked: str, device: torch.device
) -> Precision:
    """Bring a tower to the precision that was asked for. Some pictures go through it before and after: where
    a row is too far from its fp32, "auto" stays with that, and what was asked by name is an EncoderError."""
    name = wanted(asked, device)
    if name == "fp32":
        return Precision()
    if name == "bf16" and not has_bf16(device):
        log.warning("this %s only emulates bf16: fp32 would be faster", device.type)
    pictures, count = _tried(spec)
    exact = _rows(features, pictures)
    held = [tensor.detach().cpu() for tensor in _tensors(tower)]  # a GPU never holds both
    tower.to(_TYPES[name])
    worst = worst_cosine(exact, _rows(features, pictures))
    if worst >= LEAST_COSINE:
        return Precision(name, worst)
    if asked != "auto":
        raise EncoderError(
            f"--precision {name} is not exact enough for {spec.name}: the worst cosine to fp32 of {count} "
            f"is {worst:.5f}, below {LEAST_COSINE}; fp32 is."
        )
    for tensor, exactly in zip(_tensors(tower), held, strict=True):
        tensor.data = exactly.to(device)
    log.warning(
        "fp32 is used, since the other is not exact enough precision=%s cosine=%.5f least_cosine=%s",
        name,
        worst,
        LEAST_COSINE,
    )
    return Precision("fp32", worst)


def _tried(spec: EncoderSpec) -> tuple[Tensor, str]:
    """What goes through the tower, and how much that is."""
    if spec.pictures_per_feature == 1:
        return torch.from_numpy(trial_pictures(spec.look.size, PICTURES)), f"{PICTURES} pictures"
    runs = trial_runs(spec.look.size, RUNS, spec.pictures_per_feature)
    return torch.from_numpy(runs), f"{RUNS} runs of pictures"


def wanted(asked: str, device: torch.device) -> Name:
    """What is to be tried; a UsageError, before anything is loaded, for what the device cannot do."""
    return chosen(asked, device.type, has_bf16=has_bf16(device))


def chosen(asked: str, kind: str, *, has_bf16: bool) -> Name:
    """By the kind of device alone."""
    match asked, kind:
        case "auto", "cuda":
            return "bf16" if has_bf16 else "fp16"
        case "auto", "cpu":
            return "bf16" if has_bf16 else "fp32"
        case "auto" | "fp32", _:
            return "fp32"
        case "bf16", _:
            return "bf16"
        case "fp16", "cuda":
            return "fp16"
        case "fp16", _:
            raise UsageError("--precision fp16 is for GPUs; on a processor bf16 and fp32 are.")
    raise UsageError(f"precision {asked!r} is unknown; 'auto', 'fp32', 'bf16' and 'fp16' are known.")


def has_bf16(device: torch.device) -> bool:
    """Whether it computes in bf16 itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _AMPERE
    # Without oneDNN, as on macOS, torch makes no use of what a processor has.
    return device.type == "cpu" and torch._C._has_mkldnn and names_bf16(_processor())


def names_bf16(processor: Mapping[str, Any]) -> bool:
    """Whether bf16 is among what a processor says that it has."""
    return any(processor.get(name) for name in _BF16)


def _processor() -> Mapping[str, Any]:
    look = getattr(torch.cpu, "get_capabilities", None)
    if look is None:  # an older torch; what it does not ask about counts as not there
        return {"avx512_bf16": torch.cpu._is_avx512_bf16_supported()}
    found: Mapping[str, Any] = look()
    return found


def worst_cosine(exact: Tensor, found: Tensor) -> float:
    """The least of all rows; -1 where one is not finite."""
    cosines = torch.cosine_similarity(exact.double(), found.double(), dim=-1)
    return float(torch.nan_to_num(cosines, nan=-1.0).min())


@torch.inference_mode()
def _rows(features: Features, pictures: Tensor) -> Tensor:
    return features(pictures).flatten(1)


def _tensors(tower: torch.nn.Module) -> Iterator[Tensor]:
    return chain(tower.parameters(), tower.buffers())
