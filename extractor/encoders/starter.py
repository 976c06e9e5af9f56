"""The encoder that comes with the package: a small model of open_clip's, trained on the sample world alone
(`training/`), which knows that world and no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from core.errors import EncoderError, UsageError
from core.types import Sampling
from extractor.encoders.base import EXACT, Pace
from extractor.encoders.hub import SAFE
from extractor.encoders.open_clip import OpenClip, model_of, ready
from extractor.encoders.recipe import CONFIG, LOCAL_DIR, recipe_of

FAMILY = "starter"
SHIPPED = Path(__file__).with_name("shipped")  # a folder for each encoder
SAMPLING = Sampling(fps=2.0, clip_seconds=4.0, stride_seconds=2.0)  # shots of its world are 3 to 5 s


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    look: Mapping[str, str] = MappingProxyType({}),
    pace: Pace = EXACT,
    **options: object,
) -> OpenClip:
    """As `open_clip:local-dir:FOLDER` loads it, under its own name."""
    refuse(FAMILY, variant, weights, options, f"open_clip:{LOCAL_DIR}FOLDER")
    device = ready(device, pace, None, None)
    model = model_of(recipe_of(f"{LOCAL_DIR}{folder(FAMILY, CONFIG, SAFE)}"), None, None, look)
    spec = replace(model.spec, name=FAMILY, sampling=SAMPLING)
    encoder = OpenClip(replace(model, spec=spec), device)
    encoder.tower.begin(pace)
    return encoder


def folder(family: str, *names: str) -> Path:
    """Where the files of a family lie, or an EncoderError: a checkout has none before they are trained."""
    found = SHIPPED / family
    for name in names:
        if not (found / name).is_file():
            raise EncoderError(f"{family} is not in this installation: its {name} is not in {found}.")
    return found


def refuse(family: str, variant: str, weights: Path | None, options: Mapping[str, object], own: str) -> None:
    """What an encoder does not take whose weights are its own; `own` loads a folder of somebody's own."""
    if variant:
        raise EncoderError(f"{family} has no variants, but was asked for {variant!r}; leave it out.")
    if weights is not None:
        raise UsageError(
            f"{family} brings its own weights, but was given {weights}; leave them out, or load a folder of "
            f"your own by {own}."
        )
    if options:
        raise UsageError(f"{family} takes no options, but was given {', '.join(sorted(options))}.")
