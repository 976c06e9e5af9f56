"""`--encoder auto`: which model that means, decided before any work and always said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.errors import UsageError
from extractor.encoders.devices import CPU, devices_of, gpu_count

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Profile:
    """A choice for machines without a GPU, and one for those with."""

    cpu: str
    gpu: str


PROFILES = {
    "": Profile("open_clip:PE-Core-B-16/meta", "open_clip:PE-Core-L-14-336/meta"),
    "fast": Profile(*["open_clip:ViT-B-32-256/datacomp_s34b_b86k"] * 2),
    "multilingual": Profile(
        "open_clip:ViT-B-16-SigLIP2-256/webli", "open_clip:ViT-SO400M-16-SigLIP2-384/webli"
    ),
}


def is_auto(name: str) -> bool:
    """auto, auto:fast, auto:multilingual, or a mistake in that."""
    return name.partition(":")[0] == AUTO


def chosen(name: str, device: str, held: Collection[str] = ()) -> str:
    """The model for this device; one of the profile's that the collection holds already goes before."""
    profile = PROFILES.get(name.partition(":")[2])
    if profile is None:
        there = ", ".join(f"{AUTO}:{each}" for each in PROFILES if each)
        raise UsageError(f"--encoder {name} is no profile; {AUTO}, {there} are.")
    known = [model for model in (profile.cpu, profile.gpu) if model in held]
    if known:
        return known[0]
    return profile.cpu if devices_of(device, None, gpu_count()) == (CPU,) else profile.gpu
