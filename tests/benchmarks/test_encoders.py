"""`benchmarks/encoders.py` knows every family, and measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.encoders import (
    BATCH,
    CLIP,
    MODELS,
    Tried,
    extracted,
    figures,
    main,
    one_by_one,
    together,
    whole,
    windows,
)
from core.errors import UsageError
from core.types import IntArray
from extractor.encoders import TAKE_WEIGHTS, load
from extractor.encoders.base import Around
from extractor.encoders.convert import converted
from extractor.encoders.videoclip import VideoClip
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import (
    TINY,
    TINY_CLIP,
    TINY_COCA,
    add_model,
    videoclip_file,
    videoclip_state,
)


def test_an_encoder_without_a_tower_is_refused() -> None:
    with pytest.raises(UsageError, match=r"toy:rgb has no tower of pictures to measure it against\.$"):
        Tried.of("toy:rgb", load("toy:rgb"))


def test_clips_overlap_and_the_last_ends_with_the_video() -> None:
    clips = windows(20)[20:]
    assert [(int(clip[0]), int(clip[-1])) for clip in clips] == [(0, 7), (4, 11), (8, 15), (12, 19)]


def test_every_family_with_weights_is_among_the_models() -> None:
    assert {name.partition(":")[0] for name in MODELS} == set(TAKE_WEIGHTS)


def test_pictures_that_know_what_is_around_them_have_their_runs() -> None:
    parts = [*extracted(20, Around(8, 4))]
    assert sum(len(part.frames) for part in parts) == 20
    clips = [[part.features[at] for at in row.index] for part in parts for row in part.clips]
    assert [(clip[0], clip[-1]) for clip in clips] == [(0, 7), (4, 11), (8, 15), (12, 19)]


@torch.inference_mode()
def test_a_model_whose_pictures_know_what_is_around_them_is_measured_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: Path
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("CINEDEX_VOCAB", str(vocabulary))
    file = tmp_path / "videoclip.safetensors"
    converted(videoclip_file(tmp_path / "checkpoint_best.pt", videoclip_state(5)), file)
    s3d = tiny_s3d.file(tmp_path / "s3d_howto100m.pth", 3)
    encoder = load("videoclip", weights=file, s3d_weights=s3d)
    assert isinstance(encoder, VideoClip)
    seconds: list[int] = []
    frames = encoder.frames

    def counted(features: torch.Tensor, index: list[IntArray]) -> torch.Tensor:
        seconds.extend(map(len, index))
        return frames(features, index)

    monkeypatch.setattr(encoder, "frames", counted)
    tried = Tried.of("videoclip", encoder)
    whole(tried, tried.pictures(9))
    assert seconds == [9]


def test_a_model_that_lacks_something_is_left_out_in_a_line_and_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    assert main(["s3d:none"]) == 1
    says = "s3d:none is left out: There is no s3d:none; there are s3d and s3d:unit.\n"
    assert capsys.readouterr().err == says
    add_model(monkeypatch, tmp_path, "small", TINY)
    monkeypatch.setattr("benchmarks.encoders.shown", lambda found, file: 0)
    assert main(["open_clip:small", "--quick", "--videos=1"]) == 0
    assert main(["s3d:none", "open_clip:small", "--quick", "--videos=1"]) == 1
    assert capsys.readouterr().err == says


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["toy:rgb"], "toy:rgb is left out: toy:rgb has no tower of pictures to measure it against.\n"),
        (["starter:x"], "starter:x is left out: "),
        (["nobody:knows"], "nobody:knows is left out: There is no encoder family 'nobody'; there are "),
        (["s3d", "--precision=fp16"], "s3d is left out: "),
        (["s3d", "--device=nowhere"], "s3d is left out: "),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--quick", "--videos=1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(says) and said.count("\n") == 1 and said.endswith(".\n")


@pytest.mark.parametrize("name", ["starter", "starter-motion", "starter-coca"])
def test_a_shipped_model_is_measured_with_its_own_weights(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([name, "--quick", "--videos=1", f"--json={tmp_path / 'found.json'}"])
    assert not capsys.readouterr().err
    found = json.loads((tmp_path / "found.json").read_text())
    assert [*found] == [f"{name} rows", f"{name} hour"]
    assert min(each["value"] for each in found.values()) > 0


@torch.inference_mode()
def test_sixteen_videos_go_through_the_tower_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(monkeypatch, tmp_path, "small", TINY)
    tried = Tried.of("open_clip:small", load("open_clip:small", random_weights=0))
    sizes: list[int] = []
    encode = tried.tower._encode

    def counted(pictures: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pictures))
        return encode(pictures)

    monkeypatch.setattr(tried.tower, "_encode", counted)
    pictures = tried.pictures((BATCH + 1) * CLIP)
    together(tried, pictures)
    assert sizes == [BATCH * CLIP, CLIP]
    sizes.clear()
    one_by_one(tried, pictures)
    assert sizes == [CLIP] * (BATCH + 1)


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
    names = [each.name for each in figures(Tried.of(family, encoder), 1, 1, "cpu")]
    assert names == [f"{family} rows", f"{family} hour"]  # one video gains nothing by others


@torch.inference_mode()
def test_of_an_encoder_of_seconds_an_entry_is_thirty_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    tried = Tried.of("s3d", load("s3d", weights=tiny_s3d.file(tmp_path / "s3d.pth", 1)))
    pictures = tried.pictures(2)
    assert (tried.per, tried.batch, len(pictures)) == (30, 120, 60)
    assert tried.bare(tried.prepared(pictures)).shape == tried.features(pictures).shape == (2, 32)
