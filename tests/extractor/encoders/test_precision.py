"""Fewer bits where the hardware has them and rows stay the same; and what is said where they do not."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from core.errors import EncoderError, UsageError
from extractor.cli import main
from extractor.encoders import BUILT_IN, load
from extractor.encoders.base import Encoder, Pace
from extractor.encoders.contract import check, pictures
from extractor.encoders.open_clip import OpenClip
from extractor.encoders.precision import Precision, chosen, has_bf16, names_bf16, settle, worst_cosine
from extractor.tally import Tally
from extractor.work import Loaded
from tests.extractor.encoders.models import TINY, add_model, derived, inexact_state
from tests.extractor.shelf import Shelf

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    add_model(monkeypatch, tmp_path, "tiny", TINY)


@pytest.fixture
def has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that says that it has bf16; torch computes the same in it on every other."""
    monkeypatch.setattr("extractor.encoders.precision.has_bf16", lambda device: True)


@pytest.fixture
def inexact(tmp_path: Path) -> Path:
    """Weights that bf16 loses."""
    torch.save(inexact_state(4), tmp_path / "inexact.pt")
    return tmp_path / "inexact.pt"


def made(precision: str, compiled_for: int = 0, **options: Any) -> OpenClip:
    how: dict[str, Any] = {"random_weights": 3} | options
    encoder = load("open_clip:tiny", pace=Pace(precision, compiled_for), **how)
    assert isinstance(encoder, OpenClip)
    return encoder


def used(precision: str, **options: Any) -> OpenClip:
    """One that has had a picture."""
    encoder = made(precision, **options)
    with torch.inference_mode():
        encoder.features(pictures(encoder, 1))
    return encoder


# --- which ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "kind", "has", "name"),
    [
        ("auto", "cpu", True, "bf16"),
        ("auto", "cpu", False, "fp32"),
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "fp16"),
        ("auto", "xpu", True, "fp32"),
        ("fp32", "cuda", True, "fp32"),
        ("bf16", "cpu", True, "bf16"),
        ("bf16", "cpu", False, "bf16"),
        ("fp16", "cuda", True, "fp16"),
    ],
)
def test_it_is_chosen_by_what_the_device_has(asked: str, kind: str, has: bool, name: str) -> None:
    assert chosen(asked, kind, has_bf16=has) == name


def test_what_is_only_emulated_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractor.encoders.precision.has_bf16", lambda device: False)
    assert made("bf16").precision.name == "bf16" and used("auto").precision == Precision()
    assert caplog.messages == ["this cpu only emulates bf16: fp32 would be faster"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("fp16", "--precision fp16 is for GPUs; on a processor bf16 and fp32 are."),
        ("int8", "precision 'int8' is unknown; 'auto', 'fp32', 'bf16' and 'fp16' are known."),
    ],
)
def test_what_a_processor_cannot_do_is_refused(asked: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(asked)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("processor", "has"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_tile": True}, False),
        ({}, False),
    ],
)
def test_a_processor_has_bf16_if_it_says_so(processor: dict[str, Any], has: bool) -> None:
    assert names_bf16(processor) is has


def test_this_processor_is_believed_as_linux_shows_it() -> None:
    shown = Path("/proc/cpuinfo")
    if not shown.exists():
        pytest.skip("not Linux")
    words = set(shown.read_text().split())
    assert has_bf16(CPU) is bool(words & {"avx512_bf16", "amx_bf16", "bf16", "svebf16"})


def test_without_a_word_it_is_fp32_and_nothing_is_tried() -> None:
    encoder = load("open_clip:tiny", random_weights=3)
    assert isinstance(encoder, OpenClip) and encoder.precision == Precision("fp32", None)


# --- what it does to rows -------------------------------------------------------------------------------


def test_bf16_keeps_the_contract_and_is_near_to_fp32(has_it: None) -> None:
    check(lambda: made("auto"), precision="bf16")
    exact, found = made("fp32"), used("auto")
    assert found.precision.name == "bf16" and found.spec == exact.spec
    assert found.precision.cosine is not None and 0.9995 <= found.precision.cosine < 1
    held = pictures(exact, 16)
    rows = found.features(held)
    assert rows.dtype == torch.float32 and torch.allclose(rows.norm(dim=-1), torch.ones(16))
    assert worst_cosine(exact.features(held), rows) >= 0.999
    assert not torch.equal(exact.features(held), rows)


def test_auto_tries_nothing_until_a_picture_comes(has_it: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[str]()

    def noted(
        tower: torch.nn.Module, features: Any, spec: Any, asked: str, device: torch.device
    ) -> Precision:
        tried.append(asked)
        return settle(tower, features, spec, asked, device)

    monkeypatch.setattr("extractor.encoders.tower.settle", noted)
    encoder = made("auto")
    encoder.texts(["red"])
    assert not tried and encoder.precision == Precision(is_settled=False)
    held = pictures(encoder, 2)
    rows = [encoder.features(held) for _ in range(2)]
    assert tried == ["auto"] and encoder.precision.name == "bf16" and torch.equal(*rows)
    assert made("bf16").precision.is_settled and tried == ["auto", "bf16"]


def test_texts_are_fp32_whatever_pictures_are(has_it: None) -> None:
    assert torch.equal(made("auto").texts(["red", "a dog"]), made("fp32").texts(["red", "a dog"]))


def test_weights_that_bf16_loses_are_used_as_they_are_and_it_is_told(
    inexact: Path, has_it: None, caplog: pytest.LogCaptureFixture
) -> None:
    how: dict[str, Any] = {"random_weights": None, "weights": inexact}
    exact, found = made("fp32", **how), used("auto", **how)
    assert found.precision.name == "fp32"
    assert found.precision.cosine is not None and found.precision.cosine < 0.9995
    (told,) = caplog.messages
    assert told.startswith("fp32 is used, since the other is not exact enough precision=bf16 cosine=")
    assert told.endswith(" least_cosine=0.9995")
    held = pictures(exact, 4)
    assert torch.equal(found.features(held), exact.features(held))


def test_what_was_asked_by_name_is_never_something_else(inexact: Path) -> None:
    with pytest.raises(EncoderError) as caught:
        made("bf16", random_weights=None, weights=inexact)
    assert str(caught.value).startswith(
        "--precision bf16 is not exact enough for open_clip:tiny: the worst cosine to fp32 of 16 pictures is "
    )
    assert str(caught.value).endswith(", below 0.9995; fp32 is.")


class Odd(torch.nn.Module):
    """A tower that half precision breaks, with all that a module may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(3, 5), requires_grad=False)
        self.tied = self.weight
        self.register_buffer("kept", torch.rand(5))
        self.register_buffer("unsaved", torch.rand(5), persistent=False)
        self.register_buffer("count", torch.tensor(7))

    def rows(self, pictures: Tensor) -> Tensor:
        found = pictures.float().mean(dim=(1, 2)).to(self.weight.dtype) @ self.weight
        return found if self.weight.dtype == torch.float32 else found * float("nan")


def test_all_of_a_tower_is_as_it_was_where_fewer_bits_do_not_do(has_it: None) -> None:
    tower = Odd()
    before = {name: tensor.clone() for name, tensor in [*tower.named_parameters(), *tower.named_buffers()]}
    assert settle(tower, tower.rows, load("toy").spec, "auto", CPU) == Precision("fp32", -1.0)
    after = dict([*tower.named_parameters(), *tower.named_buffers()])
    assert after.keys() == before.keys() and tower.tied is tower.weight
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype and torch.equal(after[name], tensor)


def test_rows_that_are_not_numbers_are_as_far_as_can_be() -> None:
    assert worst_cosine(torch.ones(2, 3), torch.tensor([[1.0, 1, 1], [float("inf"), 0, 0]])) == -1
    assert worst_cosine(torch.ones(2, 3), torch.ones(2, 3)) == pytest.approx(1)


# --- how it is computed ---------------------------------------------------------------------------------


def operators(encoder: OpenClip) -> set[str]:
    """What runs for some pictures."""
    held = pictures(encoder, 2)
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as seen:
        encoder.features(held)
    return {each.key for each in seen.key_averages()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_open_clips_own_towers_take_torchs_native_attention(precision: str) -> None:
    assert "aten::_native_multi_head_attention" in operators(made(precision))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_timms_towers_take_fused_attention(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = open_clip.get_pretrained_cfg("ViT-B-32-SigLIP2-256", "webli")
    small = derived("ViT-B-32-SigLIP2-256", timm_model_name="vit_tiny_patch16_224", image_size=224)
    small["vision_cfg"] |= {"timm_pool": "token", "timm_proj": "linear"}
    name = add_model(monkeypatch, tmp_path, "small-timm", small, {"webli": tag})
    encoder = load(f"open_clip:{name}/webli", random_weights=1, pace=Pace(precision))
    assert isinstance(encoder, OpenClip)
    assert "aten::_scaled_dot_product_flash_attention_for_cpu" in operators(encoder)


@pytest.mark.slow
def test_a_compiled_tower_gives_the_same_rows_and_is_compiled_once() -> None:
    from torch._dynamo.utils import counters

    exact, found = made("bf16"), made("bf16", compiled_for=8)
    graphs = counters["stats"]["unique_graphs"]
    with torch.inference_mode():
        for count in (8, 1, 5, 11):
            held = pictures(exact, count)
            assert worst_cosine(exact.features(held), found.features(held)) >= 0.999
    assert counters["stats"]["unique_graphs"] == graphs == 1


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "fp16", "bf16", "fp32"])
def test_a_gpu_gives_the_same_rows(precision: str) -> None:
    exact, found = made("fp32"), made(precision, device="cuda")
    held = pictures(exact, 16)
    rows = found.features(held)
    assert rows.is_cuda and worst_cosine(exact.features(held), rows.cpu()) >= 0.999


# --- families -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pace", "flag"),
    [
        (Pace("bf16"), "--precision bf16"),
        (Pace("fp32"), "--precision fp32"),
        (Pace(compiled_for=16), "--compile"),
    ],
)
def test_a_family_without_it_is_refused_what_it_would_ignore(pace: Pace, flag: str) -> None:
    load("toy", pace=Pace())
    with pytest.raises(UsageError) as caught:
        load("toy", pace=pace)
    assert str(caught.value) == f"{flag} is not for toy, which has nothing of the kind; leave it out."


def paced(variant: str, device: str, weights: Path | None, pace: Pace | None = None) -> Encoder:
    """A family of somebody's own that can be told."""
    assert pace == Pace("bf16", 16)
    return load("toy")


def test_a_family_whose_load_has_a_pace_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILT_IN, "mine", (f"{__name__}:paced", ""))
    assert load("mine", pace=Pace("bf16", 16)).spec == load("toy").spec


# --- a run ----------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    found = Shelf(tmp_path)
    found.put(videos / "red-then-blue.mp4")
    return found


def test_a_run_says_what_it_computes_in_before_it_works(
    shelf: Shelf, has_it: None, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = shelf.flags("--encoder=open_clip:tiny", "--random-weights=3", "--device=cpu")
    assert main([flag for flag in flags if flag != "--quiet"]) == 0
    found = shelf.report()["devices"]
    cosine = pytest.approx(0.9999, abs=1e-3)
    assert found == {"cpu": {"precision": "bf16", "cosine": cosine, "batch_pictures": 16}}
    before, told, *_ = capsys.readouterr().err.splitlines()
    assert "store=" in before
    worst = f"{found['cpu']['cosine']:.5f}"
    assert told.endswith(f"device=cpu precision=bf16 cosine={worst} batch_pictures=16")


def test_a_run_without_pictures_tries_nothing_and_says_so(shelf: Shelf, has_it: None) -> None:
    texts = shelf.folder / "texts.txt"
    texts.write_text("red\nblue\n")
    flags = (
        "--encoder=open_clip:tiny",
        "--random-weights=3",
        "--device=cpu",
        "--workers=0",
        f"--texts={texts}",
    )
    assert main([f"--data={shelf.folder / 'data'}", f"--report={shelf.folder / 'told.json'}", *flags]) == 0
    found = json.loads((shelf.folder / "told.json").read_text())
    none = {"precision": None, "cosine": None, "batch_pictures": 16}
    assert found["devices"] == {"cpu": none} and found["done"] == 2


def test_a_worker_without_pictures_does_not_hide_what_another_computed_in() -> None:
    tally = Tally()
    for loaded in (Loaded("cpu", "bf16", 0.9999, 16), Loaded("cpu", batch_pictures=16)):
        tally.take(loaded)
    told = tally.as_json()["devices"]
    assert told == {"cpu": {"precision": "bf16", "cosine": 0.9999, "batch_pictures": 16}}


def test_rows_of_two_precisions_share_a_store(shelf: Shelf, has_it: None) -> None:
    flags = ("--encoder=open_clip:tiny", "--random-weights=3", "--device=cpu")
    found = shelf.extract(*flags, "--precision=fp32")["devices"]["cpu"]
    assert (found["precision"], found["cosine"]) == ("fp32", None)
    assert shelf.extract(*flags, "--again")["devices"]["cpu"]["precision"] == "bf16"


def test_a_run_with_toy_has_no_precision(shelf: Shelf) -> None:
    found = shelf.extract("--device=cpu", "--batch=5")["devices"]
    assert found == {"cpu": {"precision": None, "cosine": None, "batch_pictures": 5}}
    assert shelf.extract("--device=cpu")["devices"] == {}  # nothing to do: nothing is loaded


@pytest.mark.usefixtures("has_it")  # or that it is slow there is said too
def test_a_run_that_cannot_be_as_asked_makes_nothing(
    shelf: Shelf, inexact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--encoder=open_clip:tiny", f"--weights={inexact}", "--precision=bf16", "--device=cpu"]
    shelf.extract(*flags, code=1)
    told = capsys.readouterr().err
    assert told.startswith("extract: --precision bf16 is not exact enough for ") and told.count("\n") == 1
    assert not list((shelf.folder / "data").glob("*/store.json"))


def test_a_copy_in_fp32_is_left_by_no_try(has_it: None) -> None:
    encoder = used("auto")
    tower = encoder._model.visual
    assert {each.dtype for each in tower.parameters()} == {torch.bfloat16}
    assert {each.dtype for each in deepcopy(encoder._model.transformer).parameters()} == {torch.float32}
