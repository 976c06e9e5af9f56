"""Our vectors are open_clip's own, for every kind of preprocessing: its pictures, its model, its texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import open_clip
import pytest
import torch
from av.video.frame import VideoFrame
from open_clip import pretrained
from PIL import Image

from core.types import Look
from extractor.encoders import load
from extractor.encoders.open_clip import OpenClip
from extractor.encoders.recipe import pairs, recipe_of
from extractor.media.picture import Lens, display_turn
from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import plain_frames
from tests.conftest import FPS, shapes
from tests.extractor.encoders.models import add_model, derived

SEED = 7
TEXTS = ["a red thing", "Ein Hund läuft über die Wiese.", "", "WORD " * 200]
LISTED: dict[
    str, tuple[str, str, dict[str, Any]]
] = {  # of each kind: one of the smallest, and what makes its picture tower smaller still
    "clip": ("ViT-B-32", "laion2b_s34b_b79k", {"layers": 2}),
    "quick": ("ViT-B-32", "openai", {"layers": 2}),  # QuickGELU by its tag
    "siglip2": ("ViT-B-32-SigLIP2-256", "webli", {}),
    "pe-core": ("PE-Core-T-16-384", "meta", {}),
    "mobileclip2": ("MobileCLIP2-S0", "dfndr2b", {}),
    "clipa": ("ViT-L-14-CLIPA", "datacomp1b", {"layers": 2}),
    "convnext": ("convnext_base", "laion400m_s13b_b51k", {"timm_model_name": "convnext_atto"}),
    "coca": ("coca_ViT-B-32", "laion2b_s13b_b90k", {"layers": 2}),
}
NEEDS_MORE = ("siglip2", "clipa")  # to read texts: transformers


@dataclass(frozen=True)
class Shot:
    """A decoded picture, and the same as people see it."""

    frame: VideoFrame
    image: Image.Image


@pytest.fixture(scope="module")
def shots(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Shot]:
    """Pictures that are scaled up, turned and scaled down."""
    large = tmp_path_factory.mktemp("large") / "large.mp4"
    write_video(large, plain_frames(shapes("green", seconds=0.2), FPS, 642, 360), Encoding(fps=FPS, crf=5))
    return [next(_shots(path)) for path in (videos / "red-then-blue.mp4", videos / "rotated.mp4", large)]


def _shots(path: Path) -> Iterator[Shot]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
            is_turned = display_turn(frame)[1] != 0
            yield Shot(frame, image.transpose(Image.Transpose.ROTATE_270) if is_turned else image)


def reference(monkeypatch: pytest.MonkeyPatch, variant: str) -> tuple[Any, Any, Any]:
    """open_clip's own way to a model, its preprocessing and its tokenizer; only the download is left out."""
    model, _, tag = variant.partition("/")
    monkeypatch.setattr("open_clip.factory.download_pretrained", lambda *args, **kwargs: "not read")
    quick = bool(open_clip.get_pretrained_cfg(model, tag).get("quick_gelu"))
    torch.manual_seed(SEED)
    made, _, preprocess = open_clip.create_model_and_transforms(
        model, tag, load_weights=False, force_quick_gelu=quick
    )
    return made.eval(), preprocess, open_clip.get_tokenizer(model)


def unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows.double(), dim=-1).float()


def looked(look: Look, shots: list[Shot]) -> torch.Tensor:
    """The pictures through the lens of real extraction."""
    return torch.from_numpy(np.stack([Lens(look, Fraction(1))(shot.frame) for shot in shots]))


def check_kind(monkeypatch: pytest.MonkeyPatch, variant: str, shots: list[Shot]) -> None:
    model, preprocess, tokenizer = reference(monkeypatch, variant)
    encoder = load(f"open_clip:{variant}", random_weights=SEED, look={"scale": "pillow"})
    assert isinstance(encoder, OpenClip)
    inputs = torch.stack([preprocess(shot.image) for shot in shots])
    with torch.inference_mode():
        expected = unit(model.encode_image(inputs))
        texts = unit(model.encode_text(tokenizer(TEXTS)))
    pictures = looked(encoder.spec.look, shots)
    assert torch.equal(encoder.tower.prepared(pictures), inputs)
    found = encoder.features(pictures)
    assert float((found - expected).norm() / expected.norm()) <= 1e-5
    assert float((encoder.texts(TEXTS) - texts).norm() / texts.norm()) <= 1e-5
    assert encoder.too_long(TEXTS) == [False, False, False, True]
    look = replace(encoder.spec.look, scale="torch")
    near = encoder.features(looked(look, shots))
    assert float((near * expected).sum(dim=-1).min()) >= 0.9999
    assert replace(encoder.spec, look=look).fingerprint != encoder.spec.fingerprint


@pytest.mark.parametrize("kind", LISTED)
def test_a_small_model_of_each_kind_gives_open_clips_own_vectors(
    kind: str, shots: list[Shot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, tag, smaller = LISTED[kind]
    tags = {tag: open_clip.get_pretrained_cfg(listed, tag)}
    name = add_model(monkeypatch, tmp_path, f"small-{kind[:3]}", derived(listed, **smaller), tags)
    check_kind(monkeypatch, f"{name}/{tag}", shots)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in LISTED if kind not in NEEDS_MORE])
def test_a_listed_model_of_each_kind_gives_open_clips_own_vectors(
    kind: str, shots: list[Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tag, _ = LISTED[kind]
    check_kind(monkeypatch, f"{model}/{tag}", shots)


def test_every_listed_pair_is_looked_at_as_open_clip_says() -> None:
    assert len(pairs()) > 190
    for model, tag in pairs():
        recipe = recipe_of(f"{model}/{tag}")
        held, config = pretrained._PRETRAINED[model][tag], open_clip.get_model_config(model)
        look = recipe.look()
        assert look.size == config["vision_cfg"]["image_size"]
        assert (look.mean, look.std) == (tuple(held["mean"]), tuple(held["std"]))
        assert look.fit == ("squash" if held["resize_mode"] == "squash" else "crop")
        assert look.resize == held["interpolation"]
        assert recipe.is_quick == bool(config.get("quick_gelu") or held.get("quick_gelu"))
