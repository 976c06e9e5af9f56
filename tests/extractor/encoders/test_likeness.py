"""A family that is given another's checkpoint says whose it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.errors import EncoderError
from extractor.encoders import load
from extractor.encoders.likeness import likeness
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import (
    TINY,
    add_model,
    clip2video_state,
    tiny_state,
    videoclip_state,
)

COCA, PLAIN = "a CoCa of open_clip (videococa)", "a plain CLIP of open_clip"


def others() -> dict[str, dict[str, Tensor]]:
    """Of each family, by what it is called."""
    plain = tiny_state(3)
    return {
        "clip2video": clip2video_state(3),
        "videoclip": {f"mmmodel.{key}": each for key, each in videoclip_state(3).items()},
        "s3d": tiny_s3d.state(3),
        COCA: plain | {"text_decoder.ln_final.weight": torch.ones(2)},
        PLAIN: plain,
        "a CLIP of the package transformers": {
            "vision_model.embeddings.position_embedding.weight": torch.ones(2, 2),
            "text_model.embeddings.position_embedding.weight": torch.ones(2, 2),
            "visual_projection.weight": torch.ones(2, 2),
        },
    }


def test_each_looks_like_itself_and_a_stranger_like_none() -> None:
    assert [likeness(state) for state in others().values()] == [*others()]
    assert likeness(["layer4.0.conv1.weight", "fc.weight"]) == likeness([]) == ""
    assert likeness(["vision_model.head.probe", "text_model.head.bias", "logit_bias"]) == "", "a SigLIP"
    text = {f"text.{key}" if key.startswith("token") else key: each for key, each in tiny_state(3).items()}
    assert likeness(text) == PLAIN


@pytest.mark.parametrize("family", ["clip2video", "videoclip", "s3d", "open_clip:tiny"])
def test_a_checkpoint_of_another_family_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    add_model(monkeypatch, tmp_path, "tiny", TINY)
    more: dict[str, Any] = (
        {"s3d_weights": tiny_s3d.file(tmp_path / "s3d.pth", 3)} if family == "videoclip" else {}
    )
    for called, state in others().items():
        if called != family and (family, called) != ("open_clip:tiny", PLAIN):
            torch.save(state, file := tmp_path / "given.pt")
            with pytest.raises(EncoderError) as caught:
                load(family, weights=file, **more)
            said = f"{file} does not fit {family}: it looks like a checkpoint of {called}."
            assert str(caught.value) == said


@pytest.mark.parametrize(
    ("family", "first", "count"),
    [
        ("clip2video", "weight_center", 377),
        ("videoclip", "video_encoder.videomlp.linear1.weight", 305),
        ("s3d", "conv1.conv1.weight", 534),
    ],
)
def test_of_what_nobody_knows_the_first_keys_that_are_missing_are_named_and_counted(
    tmp_path: Path, family: str, first: str, count: int
) -> None:
    torch.save({"layer1.0.weight": torch.ones(2)}, file := tmp_path / "resnet.pt")
    more: dict[str, Any] = (
        {"s3d_weights": tiny_s3d.file(tmp_path / "s3d.pth", 3)} if family == "videoclip" else {}
    )
    with pytest.raises(EncoderError) as caught:
        load(family, weights=file, **more)
    assert str(caught.value).startswith(f"{file} does not fit {family}: {first} is missing, ")
    assert str(caught.value).endswith(f", and {count} more.")


def test_a_file_of_the_same_family_is_told_by_its_keys(tmp_path: Path) -> None:
    state = {key: each for key, each in tiny_s3d.state(3).items() if not key.startswith("mixed_3")}
    torch.save(state, file := tmp_path / "short.pt")
    with pytest.raises(EncoderError, match=r"mixed_3b\.\S+ is missing, .*, and [0-9]+ more\.$"):
        load("s3d", weights=file)
