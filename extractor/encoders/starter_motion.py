"""`starter-motion`: CLIP2Video's blocks, and a text tower that knows motions, over the pictures of `starter`.

Its file names the weights of the starter that it was trained on: over others it would see noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.errors import EncoderError
from core.types import EncoderSpec, Sampling
from extractor.encoders import hub, starter, thresholds
from extractor.encoders.base import EXACT, Pace
from extractor.encoders.clip2video import Clip2Video
from extractor.encoders.clip2video_model import Read, filled
from extractor.encoders.open_clip import ready
from extractor.encoders.recipe import CONFIG, LOCAL_DIR, Recipe, recipe_of
from extractor.encoders.tensors import kind_of, read
from extractor.encoders.weights import hash_of

FAMILY, STARTER = "starter-motion", "starter"
FILE, WORDS = "model.safetensors", "bpe.txt.gz"
SAMPLING = Sampling(fps=3.0, clip_seconds=4.0, stride_seconds=2.0)  # twelve pictures a clip


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    look: Mapping[str, str] = MappingProxyType({}),
    pace: Pace = EXACT,
    **options: object,
) -> Clip2Video:
    """What is shipped, or the same two folders elsewhere: local-dir:FOLDER."""
    unknown = "" if variant.startswith(LOCAL_DIR) else variant
    starter.refuse(FAMILY, unknown, weights, options, f"{FAMILY}:{LOCAL_DIR}FOLDER")
    folder = Path(variant.removeprefix(LOCAL_DIR)) if variant else starter.SHIPPED
    name = f"{FAMILY}:{variant}" if variant else FAMILY
    return opened(name, folder / STARTER, folder / FAMILY / FILE, device, look, pace)


def opened(
    name: str,
    pictures: Path,
    file: Path,
    device: str = "cpu",
    look: Mapping[str, str] = MappingProxyType({}),
    pace: Pace = EXACT,
) -> Clip2Video:
    """A file of blocks over the pictures of a starter's folder."""
    device = ready(device, pace, None, None)
    hash = starter_hash(name, pictures, file)
    recipe = recipe_of(f"{LOCAL_DIR}{pictures}")
    state = {f"clip.{key}": tensor for key, tensor in read(pictures / hub.SAFE).items()} | read(file)
    shape = Read(state, str(file), name).shape(recipe.config)
    model = filled(state, shape, file=str(file), name=name)
    spec = EncoderSpec(
        name,
        2 * shape.temporal.width,
        recipe.look().but(look),
        weights=hash_of(file),
        options=((STARTER, hash),),
        sampling=SAMPLING,
    )
    encoder = Clip2Video(spec, model, device, tokenizer_of(pictures, recipe))
    encoder.thresholds = thresholds.of_folder(file.parent)
    encoder.tower.begin(pace)
    return encoder


def tokenizer_of(pictures: Path, recipe: Recipe) -> Any:
    """The starter's own, of its few words."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(bpe_path=str(pictures / WORDS), context_length=recipe.text["context_length"])


def starter_hash(name: str, pictures: Path, file: Path) -> str:
    """Of the starter's weights, where the file was made for them."""
    from safetensors import safe_open

    for needed in (file, *(pictures / each for each in (hub.SAFE, CONFIG, WORDS))):
        if not needed.is_file():
            raise EncoderError(f"{name} needs {needed}, which is not there.")
    if kind_of(file) != "safetensors":
        raise EncoderError(f"{file} is no safetensors file, and so no weights of {name}.")
    read(file)  # a damaged one is refused here, in a sentence
    with safe_open(file, "pt") as held:
        wanted = (held.metadata() or {}).get(STARTER, "")
    if not wanted:
        raise EncoderError(
            f"{file} does not say which starter it was trained on; {name} needs one that does."
        )
    found = hash_of(pictures / hub.SAFE)
    if found != wanted:
        raise EncoderError(
            f"{file} was trained on the starter {wanted}, and {pictures / hub.SAFE} is {found}: "
            "take both from the same training."
        )
    return found
