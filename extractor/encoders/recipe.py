"""What a name of open_clip's means: the model's config, how it wants pictures, where its weights are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import EncoderError, UsageError
from core.files import hash_bytes
from core.types import Look, canonical
from extractor.encoders import hub, weights

FAMILY = "open_clip"
LOCAL_DIR, HF_HUB = "local-dir:", "hf-hub:"
CONFIG = "open_clip_config.json"
EXAMPLE = f"{FAMILY}:PE-Core-B-16/meta"
LIST = "`cinedex download --list` shows all"
_HASH_DIGITS = 16
_NO_VECTORS = (  # open_clip's own tables: 0.8 % of ImageNet zero-shot, 0.3 % R@1 of COCO
    "coca_ViT-B-32/mscoco_finetuned_laion2b_s13b_b90k",
    "hf-hub:laion/mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model before it is built."""

    variant: str
    config: Mapping[str, Any]  # open_clip's model_cfg
    preprocess: Mapping[
        str, Any
    ]  # mean, std, interpolation, resize_mode; what is absent is open_clip's default
    pretrained: Mapping[str, Any] = field(
        default_factory=dict
    )  # where open_clip has its weights: hf_hub, url
    is_listed: bool = True  # by open_clip itself, so that the name says what the config is

    @property
    def name(self) -> str:
        return f"{FAMILY}:{self.variant}"

    @property
    def is_quick(self) -> bool:
        """Whether it was trained with QuickGELU: many tags were, whose model's config does not say so."""
        return bool(self.config.get("quick_gelu") or self.pretrained.get("quick_gelu"))

    @property
    def text(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.config["text_cfg"]
        return found

    @property
    def tokenizer(self) -> str:
        """The name of the tokenizer that `transformers` brings, or "": open_clip's own."""
        return str(self.text.get("hf_tokenizer_name") or "")

    @property
    def folder(self) -> Path | None:
        """Where it lies, of a local-dir."""
        is_local = self.variant.startswith(LOCAL_DIR)
        return Path(self.variant.removeprefix(LOCAL_DIR)) if is_local else None

    @property
    def vocabulary(self) -> Path | None:
        """The file of word pieces of its own, which lies in its folder; None: CLIP's."""
        path = (self.text.get("tokenizer_kwargs") or {}).get("bpe_path")
        return Path(self.folder or "", path) if path and not self.tokenizer else None

    def look(self) -> Look:
        """How it wants its pictures."""
        held = self.preprocess
        mode = held.get("resize_mode") or "shortest"
        if mode == "longest":
            raise EncoderError(
                f"{self.name} wants pictures with borders (resize_mode 'longest'): not supported."
            )
        return Look(
            size=self._size(),
            fit="squash" if mode == "squash" else "crop",
            resize="bilinear" if held.get("interpolation") == "bilinear" else "bicubic",
            mean=_channels(held.get("mean"), (0.48145466, 0.4578275, 0.40821073)),
            std=_channels(held.get("std"), (0.26862954, 0.26130258, 0.27577711)),
        )

    def options(self) -> tuple[tuple[str, str], ...]:
        """What changes vectors and is not in the name."""
        quick = (("quick_gelu", "true"),) if self.is_quick else ()
        if self.is_listed:
            return quick
        path = self.vocabulary
        pieces = (("vocabulary", hash_bytes(_read(path))[:_HASH_DIGITS]),) if path else ()
        return (("config", hash_bytes(canonical(self.config).encode())[:_HASH_DIGITS]), *quick, *pieces)

    def _size(self) -> int:
        size = self.config["vision_cfg"].get("image_size", 224)
        sides = {int(side) for side in size} if isinstance(size, list | tuple) else {int(size)}
        if len(sides) > 1:
            raise EncoderError(f"{self.name} wants pictures of {size}; only square ones are supported.")
        return sides.pop()


def recipe_of(variant: str, *, may_download: bool = False) -> Recipe:
    """MODEL/TAG, MODEL, hf-hub:ORG/NAME or local-dir:FOLDER; an EncoderError names what comes nearest."""
    if not variant:
        raise EncoderError(f"{FAMILY} needs a model and a tag, as in {EXAMPLE}; {LIST}.")
    if variant.startswith(LOCAL_DIR):
        return _foreign(variant, _read_config(Path(variant.removeprefix(LOCAL_DIR)) / CONFIG))
    if variant.startswith(HF_HUB):
        return _hub(variant, may_download=may_download)
    return _listed(variant)


def absolute(name: str) -> str:
    """A folder in an encoder's name is where it is, wherever a server that reads the store is started."""
    before, local, folder = name.partition(f":{LOCAL_DIR}")
    return f"{before}{local}{os.path.abspath(folder)}" if local and folder else name


def pairs() -> list[tuple[str, str]]:
    """Every MODEL and TAG that open_clip lists."""
    import open_clip

    found: list[tuple[str, str]] = open_clip.list_pretrained()
    return found


def require_tokenizer(recipe: Recipe) -> None:
    """Where texts cannot be read without `transformers`, say what to install."""
    if (recipe.tokenizer or recipe.text.get("hf_model_name")) and find_spec("transformers") is None:
        raise EncoderError(
            f"{recipe.name} reads texts with the package transformers, which is not installed: "
            "pip install 'cinedex[multilingual]'."
        )


def require_vectors(name: str, file: Path | None) -> None:
    """An EncoderError for a name, or the names of a registered file, whose weights are known to find nothing:
    whatever is made of them, only captions are any good."""
    known = weights.about(file) if file else None
    for each in (name, *(known.names if known else ())):
        if (variant := each.partition(":")[2]) in _NO_VECTORS:
            raise EncoderError(
                f"{name} is for captions only: what makes its vectors was lost in fine-tuning (0.3 % of "
                "COCO's captions find their picture); coca_ViT-B-32/laion2b_s13b_b90k is for retrieval, and "
                f"--captions videococa:{variant} writes with it."
            )


def _listed(variant: str) -> Recipe:
    import open_clip

    model, _, tag = variant.partition("/")
    config = open_clip.get_model_config(model)
    if config is None:
        raise EncoderError(f"open_clip has no model {model!r}{_nearest(model, open_clip.list_models())}")
    tags = open_clip.list_pretrained_tags_by_model(model)
    known = {name: open_clip.get_pretrained_cfg(model, name) for name in tags}
    if tag:
        if tag not in known:
            raise EncoderError(f"open_clip has no {model}/{tag}{_nearest(tag, tags, model + '/')}")
        return Recipe(variant, config, known[tag], known[tag])
    return Recipe(variant, config, _agreed(known.values()))


def _agreed(tags: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """How all of a model's tags want pictures; where they differ, or there are none, open_clip's default."""
    names = ("mean", "std", "interpolation", "resize_mode")
    found = [{name: tag.get(name) for name in names} for tag in tags]
    return found[0] if found and all(each == found[0] for each in found) else {}


def _hub(variant: str, *, may_download: bool) -> Recipe:
    repository = variant.removeprefix(HF_HUB)
    if repository.count("/") != 1:
        raise EncoderError(f"{FAMILY}:{variant} must be {FAMILY}:{HF_HUB}ORG/NAME.")
    held = weights.downloaded(f"{FAMILY}:{variant}")
    if held and held[1].config:
        return _foreign(variant, held[1].config, hf_hub=f"{repository}/")
    path = hub.cached(repository, (CONFIG,))
    if path is None and may_download:
        path = hub.fetched(repository, CONFIG)
    if path is None:
        raise hub.missing(f"{FAMILY}:{variant}")
    return _foreign(variant, _read_config(path), hf_hub=f"{repository}/")


def _foreign(variant: str, held: Mapping[str, Any], **pretrained: str) -> Recipe:
    return Recipe(variant, held["model_cfg"], held.get("preprocess_cfg") or {}, pretrained, is_listed=False)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(_read(path))
    except ValueError as error:
        raise EncoderError(f"{path} is no JSON: {error}.") from error
    needed = ("embed_dim", "vision_cfg", "text_cfg")
    config = held.get("model_cfg") if isinstance(held, dict) else None
    if not isinstance(config, dict) or not all(name in config for name in needed):
        raise EncoderError(f"{path} describes no model of open_clip: model_cfg needs {', '.join(needed)}.")
    return dict(held)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}.") from error


def _channels(value: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    if value is None:
        return default
    red, green, blue = value if isinstance(value, list | tuple) else (value,) * 3
    return float(red), float(green), float(blue)


def _nearest(name: str, known: list[str], before: str = "") -> str:
    folded = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), list(folded), n=3, cutoff=0.4)
    shown = [before + folded[each] for each in close] or [before + each for each in known[:3]]
    return f"; {', '.join(shown)} come nearest, and {LIST}." if shown else f"; {LIST}."


def seed_of(value: object) -> int:
    """The SEED of --random-weights."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise UsageError(f"--random-weights {value} must be a whole number from 0 on.")
    return value
