"""What an encoder still lacks here, told without loading it."""

from __future__ import annotations

from core.errors import EncoderError
from extractor.encoders import BUILT_IN, DOWNLOAD, TAKE_WEIGHTS, families, hub, load
from extractor.encoders.weights import downloaded


def address_of_lacking(name: str) -> str:
    """Where weights that are not here would be downloaded from; "" where nothing is to be. An EncoderError
    where there is no such encoder, or nobody answers there."""
    family, _, variant = name.partition(":")
    if family not in families():
        raise EncoderError(f"There is no encoder family {family!r}; there are {', '.join(families())}.")
    if family in BUILT_IN and family not in TAKE_WEIGHTS:
        load(name)  # takes no time where there are no weights
    return _address(variant) if family in DOWNLOAD else ""


def _address(variant: str) -> str:
    from extractor.encoders import recipe

    if variant.startswith(recipe.LOCAL_DIR):
        return ""
    if variant.startswith(recipe.HF_HUB):
        source = {"hf_hub": f"{variant.removeprefix(recipe.HF_HUB)}/"}
    else:
        source = dict(recipe.recipe_of(variant).pretrained)
    called = f"{recipe.FAMILY}:{variant}"
    if not source:
        raise EncoderError(f"{called} names no weights; add a tag, {called}/TAG, or --weights FILE.")
    if downloaded(called) or hub.here(source):
        return ""
    hub.require_answer(called, hub.address_of(source))
    return hub.address_of(source)
