"""`benchmarks/encoders.py` knows every family, and measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.encoders import Tried, figures, windows
from core.errors import UsageError
from extractor.encoders import load
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import TINY, TINY_CLIP, TINY_COCA, add_model


def test_an_encoder_without_a_tower_is_refused() -> None:
    with pytest.raises(UsageError, match=r"toy:rgb has no tower of pictures to measure it against\.$"):
        Tried.of("toy:rgb", load("toy:rgb"))


def test_clips_overlap_and_the_last_ends_with_the_video() -> None:
    clips = windows(20)[20:]
    assert [(int(clip[0]), int(clip[-1])) for clip in clips] == [(0, 7), (4, 11), (8, 15), (12, 19)]


@pytest.mark.parametrize(
    ("family", "config"), [("open_clip", TINY), ("clip2video", TINY_CLIP), ("videococa", TINY_COCA)]
)
def test_a_model_is_measured_against_its_own_tower(
    family: str, config: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(monkeypatch, tmp_path, "small", config)
    encoder = load(f"{family}:small", random_weights=0)
    rows, batches, hour = figures(Tried.of(family, encoder), 1, 2, "cpu")
    assert (rows.bar.least, batches.bar.least) == (0.8, None)
    assert min(rows.value, batches.value, hour.value) > 0
    assert "pictures and" in rows.note and "clips a CPU second" in batches.note


@torch.inference_mode()
def test_of_an_encoder_of_seconds_an_entry_is_thirty_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    tried = Tried.of("s3d", load("s3d", weights=tiny_s3d.file(tmp_path / "s3d.pth", 1)))
    pictures = tried.pictures(2)
    assert (tried.per, tried.batch, len(pictures)) == (30, 120, 60)
    assert tried.bare(tried.prepared(pictures)).shape == tried.features(pictures).shape == (2, 32)
