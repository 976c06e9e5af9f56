"""All families of weights: on a GPU too they keep the contract, and in fp16 rows stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from extractor.encoders import TAKE_WEIGHTS, load, precision
from extractor.encoders.base import EXACT, Encoder, Pace
from extractor.encoders.contract import check, pictures
from extractor.encoders.convert import converted
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import (
    TINY,
    TINY_CLIP,
    TINY_COCA,
    add_model,
    videoclip_file,
    videoclip_state,
)

Make = Callable[[Pace, str], Encoder]
CONFIGS = {"open_clip": TINY, "clip2video": TINY_CLIP, "videococa": TINY_COCA}


@pytest.fixture(params=TAKE_WEIGHTS)
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: Path
) -> Make:
    """A tiny encoder of a family, as exactly and on the device that is asked."""
    family = request.param
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("CINEDEX_VOCAB", str(vocabulary))
    if family in CONFIGS:
        add_model(monkeypatch, tmp_path, "small", CONFIGS[family])
        return lambda pace, device: load(f"{family}:small", random_weights=1, pace=pace, device=device)
    s3d = tiny_s3d.file(tmp_path / "s3d_howto100m.pth", 3)
    if family == "s3d":
        monkeypatch.setenv("CINEDEX_S3D_WORDS", str(tiny_s3d.word_list(tmp_path / "words.json")))
        return lambda pace, device: load("s3d", weights=s3d, pace=pace, device=device)
    file = tmp_path / "videoclip.safetensors"
    converted(videoclip_file(tmp_path / "checkpoint_best.pt", videoclip_state(5)), file)
    return lambda pace, device: load("videoclip", weights=file, s3d_weights=s3d, pace=pace, device=device)


def test_in_fp16_rows_are_as_in_fp32(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor, which is only refused it because it is slow there."""
    exact = make(EXACT, "cpu")
    monkeypatch.setattr(precision, "chosen", lambda asked, kind, has_bf16: "fp16")
    half = make(Pace("fp16"), "cpu")
    name, cosine = half.precision.name, half.precision.cosine  # type: ignore[attr-defined]
    assert name == "fp16" and cosine >= 0.9995
    shown = pictures(exact, 4 * exact.spec.pictures_per_feature)
    index = [np.arange(4), np.array([1, 2]), np.array([3])]
    one, other = (each.clips(each.features(shown), index) for each in (exact, half))
    assert other.dtype == torch.float32
    assert float(torch.cosine_similarity(one, other).min()) >= 0.999
    assert torch.equal(exact.texts(["red"]), half.texts(["red"]))


@pytest.mark.gpu
def test_on_a_gpu_it_keeps_the_contract(make: Make) -> None:
    check(lambda: make(EXACT, "cuda"))
