"""Every model of open_clip: a clip is the unit mean of its pictures' unit vectors."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from core import files
from core.errors import EncoderError, UsageError
from core.types import EncoderSpec, IntArray
from extractor.encoders import hub
from extractor.encoders.base import EXACT, Pace, characters, means, unit
from extractor.encoders.devices import choose_device, exactly
from extractor.encoders.licences import licence_of
from extractor.encoders.precision import Precision, wanted
from extractor.encoders.recipe import Recipe, recipe_of, require_tokenizer, require_vectors, seed_of
from extractor.encoders.seeded import seeded
from extractor.encoders.tensors import insist, read
from extractor.encoders.thresholds import of_folder
from extractor.encoders.tower import Tower
from extractor.encoders.weights import (
    RANDOM,
    About,
    about,
    called,
    downloaded,
    folder,
    hash_of,
    register,
)

_TEXTS = 64  # encoded together: what is longer would fill a small machine's memory

TOKENIZER = "tokenizer"  # its files, beside the weights that were downloaded with it


@dataclass(frozen=True, slots=True)
class Model:
    """One of open_clip's, with its weights, and what its vectors depend on."""

    spec: EncoderSpec
    module: Any
    tokenizer: Any
    thresholds: Mapping[str, float] = field(default_factory=dict)  # as `thresholds.py` has them


class OpenClip:
    """A model, on a device."""

    def __init__(self, model: Model, device: str) -> None:
        self.spec = model.spec
        self.thresholds = model.thresholds
        self._device = torch.device(device)
        self._model = model.module.to(self._device)
        self._tokenizer = model.tokenizer
        self.tower = Tower(self.spec, self._model.visual, self._model.encode_image, unit)

    @property
    def precision(self) -> Precision:
        """What pictures are computed in."""
        return self.tower.precision

    @property
    def logit_scale(self) -> float:
        """What the model learned to multiply scores by."""
        return float(self._model.logit_scale.exp())

    def features(self, pictures: Tensor) -> Tensor:
        """float32 [n, dim]: a unit vector a picture."""
        return unit(self.tower(pictures))

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        """The unit mean of the pictures of each."""
        if not index:
            return self._none()
        return unit(means(features, index))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """A unit vector each."""
        plain = [characters(text) for text in texts]
        rows = [
            unit(self._model.encode_text(self._tokenizer(plain[first : first + _TEXTS]).to(self._device)))
            for first in range(0, len(plain), _TEXTS)
        ]
        return torch.cat(rows) if rows else self._none()

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which have more tokens than the model reads."""
        return [_tokens(self._tokenizer, characters(text)) > self._tokenizer.context_length for text in texts]

    def _none(self) -> Tensor:
        return torch.empty(0, self.spec.dim, device=self._device)


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    random_weights: int | None = None,
    look: Mapping[str, str] = MappingProxyType({}),
    download: bool = False,
    pace: Pace = EXACT,
) -> OpenClip:
    """MODEL/TAG with its weights, or any model with those of a file or, if asked for, random ones."""
    device = ready(device, pace, weights, random_weights)
    recipe = recipe_of(variant, may_download=download)
    require_vectors(recipe.name, weights)
    encoder = OpenClip(model_of(recipe, weights, random_weights, look, download=download), device)
    encoder.tower.begin(pace)
    return encoder


def ready(device: str, pace: Pace, weights: Path | None, random_weights: int | None) -> str:
    """The device that is meant, where what was asked for can be."""
    if weights is not None and random_weights is not None:
        raise UsageError("--weights and --random-weights exclude each other.")
    device = choose_device(device)
    exactly(device)
    wanted(pace.precision, torch.device(device))
    return device


def model_of(
    recipe: Recipe,
    weights: Path | None,
    random_weights: int | None,
    look: Mapping[str, str] = MappingProxyType({}),
    *,
    download: bool = False,
) -> Model:
    """A model with its own weights, with those of a file, or with random ones; on the processor."""
    seen = recipe.look().but(look)
    require_tokenizer(recipe)
    spec = EncoderSpec(recipe.name, int(recipe.config["embed_dim"]), seen, options=recipe.options())
    if random_weights is None:
        file, hash = _file(recipe, weights, may_download=download)
        spec = replace(spec, weights=hash)
    else:
        spec = replace(spec, weights=f"{RANDOM}{seed_of(random_weights)}")
    with hub.offline(not download):
        module = _built(recipe, random_weights or 0)
        tokenizer = _tokenizer(recipe, folder() / spec.weights / TOKENIZER, may_download=download)
    if random_weights is None:
        _fill(recipe, module, file, may_resize=weights is None or _is_download(file))
    if recipe.folder is None or weights is not None or random_weights is not None:
        return Model(spec, module, tokenizer)
    return Model(spec, module, tokenizer, of_folder(recipe.folder))


def fetch(variant: str) -> About:
    """Weights of MODEL/TAG or hf-hub:ORG/NAME from where open_clip has them, registered."""
    recipe = recipe_of(variant, may_download=True)
    if not recipe.pretrained:
        raise EncoderError(
            f"{recipe.name} names no weights to download; name a tag, as in {recipe.name}/TAG."
        )
    require_tokenizer(recipe)
    known = downloaded(recipe.name)
    found = known[1] if known else _registered(recipe)
    kept = folder() / found.hash / TOKENIZER
    if recipe.tokenizer and not kept.exists():
        tokenizer = _tokenizer(recipe, kept, may_download=True)
        with files.draft(kept) as draft:
            tokenizer.save_pretrained(draft)
    return found


def _registered(recipe: Recipe) -> About:
    path = hub.here(recipe.pretrained) or hub.downloaded(recipe.name, recipe.pretrained)
    config = None if recipe.is_listed else {"model_cfg": recipe.config, "preprocess_cfg": recipe.preprocess}
    about_it = About(
        hub.address_of(recipe.pretrained),
        (recipe.name,),
        licence=licence_of(recipe.variant),
        config=config,
    )
    return register(path, about_it)


def _file(recipe: Recipe, asked: Path | None, *, may_download: bool) -> tuple[Path, str]:
    """The file with the weights, and the hash of its tensors."""
    if asked is not None:
        found: Path | None = asked
    elif recipe.folder is not None:
        found = _of_folder(recipe.folder)
    elif not recipe.pretrained:
        raise EncoderError(
            f"{recipe.name} names no weights; add a tag, {recipe.name}/TAG, or --weights FILE."
        )
    elif (known := downloaded(recipe.name)) is not None:
        found = known[0]
    else:
        found = hub.here(recipe.pretrained)
    if found is None and may_download:
        found = hub.downloaded(recipe.name, recipe.pretrained)
    if found is None:
        raise hub.missing(recipe.name)
    return found, hash_of(found)


def _of_folder(path: Path) -> Path:
    names = (hub.SAFE, hub.PLAIN)
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        raise EncoderError(f"{path} holds no {' or '.join(names)}.")
    return found


def _is_download(file: Path) -> bool:
    known = about(file)
    return known is not None and bool(known.names)


# --- the model ---------------------------------------------------------------------------------------


def _built(recipe: Recipe, seed: int = 0) -> Any:
    """By open_clip's own classes, as they come out after `torch.manual_seed(seed)`."""
    from open_clip import CLIP, CoCa, CustomTextCLIP

    config = {**recipe.config, "quick_gelu": recipe.is_quick}
    if recipe.text.get("hf_model_name"):
        config["text_cfg"] = {**recipe.text, "hf_model_pretrained": False}
    is_custom = config.pop("custom_text", False) or recipe.text.get("hf_model_name")
    kind = (CoCa if "multimodal_cfg" in config else CustomTextCLIP) if is_custom else CLIP
    try:
        with seeded(seed):
            model = kind(**config)
    except (
        TypeError,
        RuntimeError,
        OSError,
        KeyError,
    ) as error:  # a config of somebody's own may hold anything
        raise EncoderError(f"{recipe.name} cannot be built: {_first_line(error)}.") from error
    return model.eval().requires_grad_(False)


def _fill(recipe: Recipe, model: Any, file: Path, *, may_resize: bool) -> None:
    """A checkpoint's tensors into the model: each has its place, and each place its tensor."""
    state = _converted(model, read(file), may_resize=may_resize)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    # Some of its models have parameters that nobody fills or reads, as CoCa's text_decoder.text_projection.
    found = insist(state, wanted, file=called(file), name=recipe.name, are_used=False)
    model.load_state_dict(found)


def _converted(model: Any, state: dict[str, Tensor], *, may_resize: bool) -> dict[str, Tensor]:
    """What open_clip does to checkpoints that are older than its classes, or another library's."""
    from open_clip import factory

    found: dict[str, Tensor] = dict(factory.convert_state_dict(model, state))
    if "positional_embedding" in found and not hasattr(model, "positional_embedding"):
        found = factory.convert_to_custom_text_state_dict(found)
    for name in ("logit_scale", "logit_bias"):
        mine = getattr(model, name, None)
        if name in found and mine is not None and found[name].numel() == mine.numel():
            found[name] = found[name].reshape(mine.shape)
    if getattr(model, "logit_bias", None) is not None and "logit_bias" not in found:
        found["logit_bias"] = torch.zeros_like(model.logit_bias)
    found.pop("text.transformer.embeddings.position_ids", None)
    if may_resize:
        factory.resize_pos_embed(found, model)
        factory.resize_text_pos_embed(found, model)
    return found


# --- texts -------------------------------------------------------------------------------------------


def _tokenizer(recipe: Recipe, kept: Path, *, may_download: bool) -> Any:
    """open_clip's own, which it carries, or the one that `transformers` reads from files."""
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer

    length = recipe.text.get("context_length", DEFAULT_CONTEXT_LENGTH)
    options = dict(recipe.text.get("tokenizer_kwargs") or {})
    if not recipe.tokenizer:
        return _byte_pairs(recipe, length, options)
    source = kept if kept.is_dir() else recipe.tokenizer
    if recipe.folder is not None:
        source = recipe.folder
    try:
        return HFTokenizer(
            str(source),
            context_length=length,
            tokenizer_mode=recipe.text.get("tokenizer_mode"),
            local_files_only=not may_download,
            **options,
        )
    except (OSError, ValueError) as error:
        raise hub.missing(recipe.name, of=f"tokenizer {source}") from error


def _byte_pairs(recipe: Recipe, length: int, options: dict[str, Any]) -> Any:
    """open_clip's own, by CLIP's vocabulary or by a file of fewer pieces, the last of which are its marks."""
    from open_clip.tokenizer import SimpleTokenizer

    path = recipe.vocabulary
    if path is None:
        return SimpleTokenizer(context_length=length, **options)
    try:
        made = SimpleTokenizer(context_length=length, **options | {"bpe_path": str(path)})
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise EncoderError(f"{path} is no vocabulary, or a damaged one: {_first_line(error)}.") from error
    if (wanted := recipe.text.get("vocab_size")) != made.vocab_size:
        raise EncoderError(
            f"{path} does not fit {recipe.name}: it has {made.vocab_size} word pieces, and vocab_size is "
            f"{wanted}."
        )
    return made


def _tokens(tokenizer: Any, text: str) -> int:
    """How many a text has, with those that mark its start and its end."""
    if hasattr(tokenizer, "encode"):
        return len(tokenizer.encode(text)) + 2
    return len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
