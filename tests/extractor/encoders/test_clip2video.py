"""CLIP2Video from files as its authors' are: clips of any length, texts, halves, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.commands import main
from core.errors import EncoderError, UsageError
from core.types import Sampling
from extractor.encoders import how, load, load_again
from extractor.encoders.base import Pace, unit
from extractor.encoders.clip2video import Clip2Video, joined
from extractor.encoders.contract import check, features, pictures
from extractor.encoders.trial import trial_pictures
from extractor.encoders.weights import About, register
from tests.extractor.encoders.models import TINY, TINY_CLIP, add_model, clip2video_state, in_half
from tests.extractor.encoders.traps import FEW, require_refused

Held = dict[str, Tensor]
CENTRES = 3


@pytest.fixture(scope="module")
def state() -> Held:
    return clip2video_state(5, centres=CENTRES)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, state: Held) -> Path:
    """Called as the authors call theirs."""
    return saved(tmp_path_factory.mktemp("authors"), state)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, file: Path) -> Clip2Video:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        return loaded(file)


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))


def saved(folder: Path, state: Mapping[str, Any]) -> Path:
    torch.save(dict(state), folder / "pytorch_model.bin.2")
    return folder / "pytorch_model.bin.2"


def loaded(file: Path, **options: Any) -> Clip2Video:
    found = load("clip2video", weights=file, **options)
    assert isinstance(found, Clip2Video)
    return found


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def clip(encoder: Clip2Video, held: Tensor, *rows: int) -> Tensor:
    return encoder.clips(held, [np.array(rows)])[0]


# --- what it is --------------------------------------------------------------------------------------


def test_it_keeps_the_contract_from_a_file(file: Path) -> None:
    check(lambda: loaded(file))


def test_it_keeps_the_contract_with_a_matrix_in_place_of_attention(tmp_path: Path) -> None:
    file = saved(tmp_path, clip2video_state(6, is_mlp=True))
    check(lambda: loaded(file))


def test_it_keeps_the_contract_over_another_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(monkeypatch, tmp_path, "other", TINY_CLIP | {"quick_gelu": False})
    check(lambda: load("clip2video:other", random_weights=3))


def test_a_row_is_both_halves_and_an_inner_product_their_weighted_cosines(encoder: Clip2Video) -> None:
    held = features(encoder, 20)
    clips = encoder.clips(held, [np.arange(12), np.arange(8, 20), np.arange(3)])
    texts = encoder.texts(["a red circle", "rain"])
    for rows in (clips, texts):
        halves = rows.reshape(-1, 2, 64).norm(dim=-1)
        assert off(halves, torch.full_like(halves, 0.5**0.5)) < 1e-6
    whole, aligned = (
        unit(texts[:, part]) @ unit(clips[:, part]).T for part in (slice(0, 64), slice(64, 128))
    )
    assert off(texts @ clips.T, 0.5 * whole + 0.5 * aligned) < 1e-6
    for w in (0, 0.3, 1):
        found = encoder.adjusted(texts.numpy(), {"w": w}) @ clips.numpy().T
        assert off(torch.from_numpy(found), w * whole + (1 - w) * aligned) < 1e-5
    assert np.array_equal(encoder.adjusted(texts.numpy(), {}), texts.numpy())


@pytest.mark.parametrize("w", [-0.1, 1.5, "much", True, float("nan")])
def test_a_share_that_cannot_be_is_refused(encoder: Clip2Video, w: Any) -> None:
    with pytest.raises(UsageError, match=r"must be a number from 0 to 1\.$"):
        encoder.adjusted(np.zeros((1, 128), np.float32), {"w": w})


def test_what_it_is_follows_from_the_file(encoder: Clip2Video, file: Path) -> None:
    spec = encoder.spec
    assert (spec.name, spec.dim, spec.look.size, spec.look.resize) == ("clip2video", 128, 32, "bicubic")
    assert spec.sampling == Sampling(fps=1.5, clip_seconds=8, stride_seconds=4)
    assert len(spec.weights) == 32
    assert encoder.logit_scale == pytest.approx(1 / 0.07)
    known = register(file, About(file.name))
    assert how(spec)["weights"].parent.name == known.hash == spec.weights
    held = pictures(encoder, 3)
    again = load_again(spec)
    assert torch.equal(again.features(held), encoder.features(held))


@pytest.mark.slow
def test_random_weights_are_of_the_authors_sizes() -> None:
    one = load("clip2video", random_weights=1)
    assert (one.spec.dim, one.spec.look.size, one.spec.weights) == (1024, 224, "random:1")
    assert one.texts(["red"]).shape == (1, 1024)


# --- clips -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 11])
@torch.inference_mode()
def test_a_short_clip_is_as_if_filled_up_with_pictures_of_zeros(encoder: Clip2Video, count: int) -> None:
    shown = pictures(encoder, count)
    values = torch.zeros(1, 12, 3, 32, 32)
    values[0, :count] = encoder.tower.prepared(shown)
    model = encoder._model
    frames = model.clip.encode_image(values[0])[None]
    mask = torch.zeros(1, 12)
    mask[0, :count] = 1
    expected = joined(*model.halves(frames, mask))[0]
    assert off(clip(encoder, encoder.features(shown), *range(count)), expected) < 1e-5
    mask[0, count:] = 1
    assert off(expected, joined(*model.halves(frames, mask))[0]) > 1e-3  # they are not seen
    frames[0, count:] *= 2
    mask[0, count:] = 0
    assert off(expected, joined(*model.halves(frames, mask))[0]) > 1e-5  # but for the first difference


def test_clips_that_share_a_batch_do_not_see_each_others_padding(encoder: Clip2Video) -> None:
    held = features(encoder, 12)
    lengths = [12, 7, 1, 3, 11, 12, 2, 5]
    together = encoder.clips(held, [np.arange(count) for count in lengths])
    for row, count in zip(together, lengths, strict=True):
        assert off(clip(encoder, held, *range(count)), row) < 1e-5


def test_of_forty_minutes_twelve_pictures_are_taken(encoder: Clip2Video) -> None:
    held = torch.randn(40 * 60, 64, generator=torch.Generator().manual_seed(1))
    twelve = [int(n * 2399 / 11) for n in range(12)]
    assert twelve[0] == 0 and twelve[-1] == 2399
    whole = encoder.clips(held, [np.arange(2400)])
    assert torch.equal(whole[0], clip(encoder, held, *twelve))
    many = encoder.clips(held, [np.arange(start, start + 12) for start in range(0, 2388, 4)])
    assert many.shape == (597, 128)
    assert off(clip(encoder, held, *range(2384, 2396)), many[-1]) < 1e-5


def test_the_order_of_pictures_counts(encoder: Clip2Video) -> None:
    held = features(encoder, 12)
    forth, back = clip(encoder, held, *range(12)), clip(encoder, held, *range(11, -1, -1))
    assert off(forth, back) > 1e-2


def test_in_bf16_clips_are_as_in_fp32(encoder: Clip2Video, file: Path) -> None:
    quick = loaded(file, pace=Pace("bf16"))
    assert quick.precision.name == "bf16" and (quick.precision.cosine or 0) > 0.9995
    held = torch.from_numpy(trial_pictures(32, 14))
    index = [np.arange(12), np.arange(2, 14), np.arange(4), np.array([3])]
    one, other = (each.clips(each.features(held), index) for each in (encoder, quick))
    assert float(torch.cosine_similarity(one, other).min()) > 0.999
    assert torch.equal(encoder.texts(["rain"]), quick.texts(["rain"]))


# --- texts -------------------------------------------------------------------------------------------


def test_a_text_is_cut_at_32_tokens(encoder: Clip2Video) -> None:
    assert encoder.too_long(["red " * 30, "red " * 31, "", "🐈" * 40]) == [False, True, False, True]
    assert torch.equal(*(encoder.texts(["red " * count]) for count in (31, 300)))
    assert off(*(encoder.texts(["red " * count]) for count in (29, 30))) > 1e-3


def test_a_text_of_anything_has_a_vector_of_its_own(encoder: Clip2Video) -> None:
    texts = [
        "",
        "!",
        "!!",
        "🐈",
        "狗在草地上跑",
        "half a pair \ud800",
        "<|endoftext|>",
        "<end_of_text>",
        "a b",
    ]
    rows = encoder.texts(texts)
    assert bool(torch.isfinite(rows).all())
    apart = torch.cdist(rows, rows) + 9 * torch.eye(len(rows))
    assert float(apart.min()) > 1e-3
    for text, row in zip(texts, rows, strict=True):
        assert off(encoder.texts([text])[0], row) < 1e-5


def test_a_text_ends_where_its_first_end_token_is_though_all_of_it_is_aligned(encoder: Clip2Video) -> None:
    cut, whole = encoder.texts(["red", "red <|endoftext|> blue"])
    assert off(cut[:64], whole[:64]) < 1e-5 < off(cut[64:], whole[64:])


# --- files -------------------------------------------------------------------------------------------


def test_half_precision_loads_and_is_another_encoder(
    tmp_path: Path, encoder: Clip2Video, state: Held
) -> None:
    found = loaded(saved(tmp_path, in_half(state)))
    assert found.spec.weights != encoder.spec.weights
    shown = pictures(encoder, 12)
    one, other = (clip(each, each.features(shown), *range(12)) for each in (encoder, found))
    assert 0 < off(one, other) < 5e-3
    assert found.texts(["rain"]).dtype == torch.float32


def test_old_names_of_norms_are_known(tmp_path: Path, encoder: Clip2Video, state: Held) -> None:
    old = {
        key.replace("layernorm.weight", "layernorm.gamma").replace("layernorm.bias", "layernorm.beta"): tensor
        for key, tensor in state.items()
    }
    assert set(old) != set(state)
    found = loaded(saved(tmp_path, old))
    assert torch.equal(found.texts(["rain"]), encoder.texts(["rain"]))


@pytest.mark.parametrize("centres", [5, 7])
def test_the_number_of_centres_is_the_files(tmp_path: Path, centres: int) -> None:
    found = loaded(saved(tmp_path, clip2video_state(5, centres=centres)))
    assert len(found._model.weight_center) == centres


def changed(state: Held, what: str) -> Held:
    found = dict(state)
    match what:
        case "missing":
            del found["actionClip.resblocks.0.mlp.c_fc.bias"]
        case "telling":
            del found["weight_center"]
        case "layers":
            found = {key: each for key, each in state.items() if not key.startswith("transformerClip.")}
        case "gap":
            found = {key.replace("transformerClip.resblocks.1", "transformerClip.resblocks.7"): each
                     for key, each in state.items()}  # fmt: skip
        case "left over":
            found["clip.input_resolution"] = torch.tensor(224)
        case "both":
            found["frame2t_projection"] = torch.zeros(64, 64)
        case "shape":
            found["emb_center"] = torch.zeros(4, 64)
        case "axes":
            found["clip.visual.conv1.weight"] = torch.zeros(64)
        case "words":
            found["clip.token_embedding.weight"] = torch.zeros(600, 64)
        case "places":
            found["frame_position_embeddings.weight"] = torch.zeros(8, 64)
        case "square":
            found["clip.visual.positional_embedding"] = torch.zeros(6, 64)
        case "width":
            found["weight_center"] = torch.zeros(3, 60)
        case "widths":
            found["weight_center"] = torch.zeros(3, 128)
        case "far too wide":
            found["clip.visual.conv1.weight"] = torch.zeros(640_000, 1, 1)
    return found


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing", "actionClip.resblocks.0.mlp.c_fc.bias is missing."),
        ("telling", "weight_center is missing."),
        ("layers", "transformerClip.resblocks.0.attn.in_proj_weight is missing."),
        ("gap", "transformerClip.resblocks.1.attn.in_proj_weight is missing, "),
        ("left over", "clip.input_resolution is left over."),
        ("both", "frame2t_attention.resblocks.0.attn.in_proj_weight is left over, "),
        ("shape", "emb_center is [4, 64], not [3, 64]."),
        ("axes", "clip.visual.conv1.weight is [64], of too few axes."),
        ("words", "it knows 600 word pieces, not 49408."),
        ("places", "frame_position_embeddings.weight has 8 rows, and at least 12 are needed."),
        ("square", "clip.visual.positional_embedding has 6 rows, of no square and one."),
        ("width", "weight_center says that something is 60 wide, which is no multiple of 64."),
        ("widths", "its CLIP makes vectors of 64 numbers, and its blocks take 128."),
        ("far too wide", "clip.visual.class_embedding is [64], not [640000], "),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_key(
    tmp_path: Path, state: Held, what: str, says: str
) -> None:
    file = saved(tmp_path, changed(state, what))
    with pytest.raises(EncoderError) as caught:
        loaded(file)
    assert str(caught.value).startswith(f"{file} does not fit clip2video: ")
    assert says in str(caught.value)


def test_without_weights_it_is_said_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EncoderError, match=r"^clip2video needs --weights FILE: .*README.*Google Drive.*\.$"):
        load("clip2video")
    assert main(["download", "clip2video"]) == 2
    said = capsys.readouterr().err
    assert "https://github.com/CryhanFang/CLIP2Video" in said and "--weights FILE" in said


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ("ViT-B-32/openai", "names weights of a CLIP alone, which lack the temporal blocks"),
        ("coca_ViT-B-32", "needs a CLIP that reads texts as OpenAI's do"),
        ("ViT-B-16-SigLIP", "needs a CLIP that reads texts as OpenAI's do"),
        ("narrow", "makes vectors of a multiple of 64 numbers; narrow is none"),
        ("ViT-B-33", "open_clip has no model 'ViT-B-33'"),
    ],
)
def test_a_clip_that_it_cannot_stand_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, says: str
) -> None:
    add_model(monkeypatch, tmp_path, "narrow", TINY)
    with pytest.raises(EncoderError) as caught:
        load(f"clip2video:{variant}", random_weights=1)
    assert says in str(caught.value)


@pytest.mark.parametrize("trap", FEW)
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.chdir(tmp_path)
    require_refused(lambda file: load("clip2video", weights=file), tmp_path, trap)
