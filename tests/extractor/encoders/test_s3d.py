"""S3D from files as its authors' are: seconds, texts by their words, and what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.commands import main
from core.errors import EncoderError, NoTextsError, UsageError
from core.types import Sampling
from extractor.encoders import how, load, load_again, s3d
from extractor.encoders.base import Pace
from extractor.encoders.contract import check, features, pictures
from extractor.encoders.s3d import S3D
from extractor.encoders.weights import About, all_known, register, registered
from tests.extractor.encoders import tiny_s3d, traps
from tests.extractor.encoders.passes import passed

AUTHORS = s3d.LOOK
SMALL = replace(AUTHORS, size=64)


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("CINEDEX_S3D_WORDS", str(tiny_s3d.word_list(tmp_path / "words.json")))
    monkeypatch.setattr(s3d, "LOOK", SMALL)  # the net takes any size
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_s3d.file(tmp_path_factory.mktemp("authors") / "s3d_howto100m.pth", 3)


def loaded(file: Path, name: str = "s3d", **options: Any) -> S3D:
    found = load(name, weights=file, **options)
    assert isinstance(found, S3D)
    return found


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


# --- what it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s3d", "s3d:unit"])
def test_it_keeps_the_contract(file: Path, name: str) -> None:
    check(lambda: loaded(file, name))


def test_what_it_is_follows_from_the_file(file: Path) -> None:
    spec = loaded(file).spec
    assert (spec.name, spec.dim, spec.pictures_per_feature, spec.look.run) == ("s3d", 32, 30, 30)
    assert (AUTHORS.size, spec.look.fit, spec.look.sar, spec.sampling.fps) == (224, "ffmpeg", False, 1.0)
    register(file, About(file.name))
    found = load_again(spec)
    assert how(spec)["weights"] == registered(spec.weights)
    assert found.spec == spec
    assert spec.fingerprint != loaded(file, "s3d:unit").spec.fingerprint


@pytest.mark.parametrize("name", ["s3d", "s3d:unit"])
def test_probabilities_are_of_scores_as_they_are(file: Path, name: str) -> None:
    assert loaded(file, name).logit_scale == 1


@torch.inference_mode()
def test_a_clip_is_the_mean_of_its_seconds_and_a_score_an_inner_product(file: Path) -> None:
    encoder, ones = loaded(file), loaded(file, "s3d:unit")
    held, of_one = features(encoder, 4), features(ones, 4)
    assert off(of_one, held / held.norm(dim=1, keepdim=True)) < 1e-6
    (clip,) = encoder.clips(held, [np.arange(1, 4)])
    assert off(clip, held[1:].mean(dim=0)) < 1e-6
    (clip,) = ones.clips(of_one, [np.arange(1, 4)])
    mean = of_one[1:].mean(dim=0)
    assert off(clip, mean / mean.norm()) < 1e-6


def test_a_text_is_its_first_sixteen_known_words(file: Path) -> None:
    encoder = loaded(file)
    same = ["Red circle", "a red, CIRCLE!", "the red pony's circle"]
    rows = encoder.texts([*same, "circle red", "Don't", "", "nothing that is known"])
    assert torch.equal(rows[0], rows[1]) and torch.equal(rows[0], rows[2])
    assert torch.equal(rows[0], rows[3])  # a bag of words
    assert torch.equal(rows[5], rows[6])
    assert not torch.equal(rows[4], rows[5])
    long = "red " * 16
    assert torch.equal(*encoder.texts([long, long + "green"]))
    assert encoder.too_long([long, long + "nothing", long + "green"]) == [False, False, True]


def test_the_number_of_a_word_is_its_place_in_the_list(file: Path) -> None:
    encoder = loaded(file)
    ids = torch.zeros(1, 16, dtype=torch.int64)
    ids[0, :2] = torch.tensor([2, 7])
    assert torch.equal(encoder.texts(["green square"]), encoder._texts(ids))


@pytest.mark.slow
def test_random_weights_are_of_the_authors_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CINEDEX_S3D_WORDS")
    one = load("s3d", random_weights=1)
    assert (one.spec.dim, one.spec.weights) == (512, "random:1")
    assert features(one, 1).shape == (1, 512)


# --- the list of words -------------------------------------------------------------------------------


def test_without_its_words_it_reads_no_texts_and_says_why(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CINEDEX_S3D_WORDS")
    encoder = loaded(file)
    assert features(encoder, 1).shape == (1, 32)
    with pytest.raises(NoTextsError, match=r"let CINEDEX_S3D_WORDS name .* s3d_dict\.npy") as told:
        encoder.texts(["red"])
    assert told.value.http_status == 409
    with pytest.raises(NoTextsError):
        encoder.too_long(["red"])


def test_its_words_are_kept_with_its_weights(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = register(file, About(file.name))
    kept = registered(known.hash)
    assert kept is not None
    expected = loaded(kept).texts(["red"])
    monkeypatch.delenv("CINEDEX_S3D_WORDS")
    assert torch.equal(loaded(kept).texts(["red"]), expected)
    Path("other.json").write_text(json.dumps(tiny_s3d.WORDS[::-1]))
    monkeypatch.setenv("CINEDEX_S3D_WORDS", "other.json")
    with pytest.raises(EncoderError, match=r"is another list than .*words\.json"):
        loaded(kept)


def test_the_authors_list_is_read_as_it_is_or_converted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = loaded(file).texts(["red square"])
    np.save("plain.npy", np.array(tiny_s3d.WORDS))
    np.save("s3d_dict.npy", np.array(tiny_s3d.WORDS, dtype=object), allow_pickle=True)
    monkeypatch.setenv("CINEDEX_S3D_WORDS", "plain.npy")
    assert torch.equal(loaded(file).texts(["red square"]), expected)
    monkeypatch.setenv("CINEDEX_S3D_WORDS", "s3d_dict.npy")
    with pytest.raises(EncoderError, match=r"`cinedex convert s3d_dict\.npy --to FILE\.json`"):
        loaded(file)
    assert main(["convert", "s3d_dict.npy", "--to", "converted.json"]) == 0
    monkeypatch.setenv("CINEDEX_S3D_WORDS", "converted.json")
    assert torch.equal(loaded(file).texts(["red square"]), expected)


def test_a_list_of_other_words_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("few.json").write_text('["red"]')
    monkeypatch.setenv("CINEDEX_S3D_WORDS", "few.json")
    with pytest.raises(EncoderError, match=r"lists 1 words, and the weights of s3d know 9\.$"):
        loaded(file)
    monkeypatch.setenv("CINEDEX_S3D_WORDS", "none.json")
    with pytest.raises(UsageError, match=r"The word list none\.json does not exist\.$"):
        loaded(file)


# --- files -------------------------------------------------------------------------------------------


def test_half_precision_and_wrapped_files_load(file: Path) -> None:
    state = tiny_s3d.state(3)
    half = {key: each.half() if each.is_floating_point() else each for key, each in state.items()}
    torch.save({"state_dict": {f"module.{key}": each for key, each in half.items()}}, "half.pth")
    one, other = features(loaded(Path("half.pth")), 2), features(loaded(file), 2)
    assert float(torch.cosine_similarity(one, other).min()) > 0.999


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fc.weight": None}, r"fc\.weight is missing"),
        ({"mixed_4d.conv_b2_b.bn2.running_var": None}, r"mixed_4d\.conv_b2_b\.bn2\.running_var is missing"),
        ({"text_module.fc2.bias": None}, r"text_module\.fc2\.bias is missing"),
        ({"more": torch.zeros(1)}, "more is left over"),
        ({"gating.fc.bias": torch.zeros(3)}, r"gating\.fc\.bias is \[3\], not \[10\]"),
        ({"fc.weight": torch.zeros(0, 3)}, r"fc\.weight is empty"),
        ({"conv1.conv1.weight": torch.zeros(8)}, r"conv1\.conv1\.weight is \[8\], not"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_what_is_wrong(
    change: dict[str, Tensor | None], said: str
) -> None:
    state = {key: each for key, each in (tiny_s3d.state(3) | change).items() if each is not None}
    torch.save(state, "s3d_howto100m.pth")
    with pytest.raises(EncoderError, match=rf"^s3d_howto100m\.pth does not fit s3d: .*{said}") as told:
        loaded(Path("s3d_howto100m.pth"))
    assert "\n" not in str(told.value)


def test_a_truncated_file_is_refused_in_a_sentence(file: Path) -> None:
    Path("short.pth").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(EncoderError, match=r"^short\.pth is no checkpoint of torch\.save, or a damaged one"):
        loaded(Path("short.pth"))


def test_a_file_that_would_run_something_runs_nothing() -> None:
    torch.save({**tiny_s3d.state(3), "epoch": traps.Reduced(os.system, ("touch sprung",))}, "trap.pth")
    with pytest.raises(EncoderError, match=r"asks to run \w+\.system, and is.*`cinedex convert trap\.pth"):
        loaded(Path("trap.pth"))
    assert main(["convert", "trap.pth", "--to", "clean.safetensors"]) == 0
    assert features(loaded(Path("clean.safetensors")), 1).shape == (1, 32)
    assert not traps.SPRUNG.exists()


def test_what_is_asked_for_but_not_there_is_said() -> None:
    with pytest.raises(EncoderError, match=r"^s3d needs --weights FILE: s3d_howto100m\.pth, .*HowTo100M"):
        load("s3d")
    with pytest.raises(EncoderError, match=r"^There is no s3d:raw; there are s3d and s3d:unit\.$"):
        load("s3d:raw", random_weights=1)


def test_a_variant_that_there_is_not_is_refused_before_its_file_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--data", "data", "--videos", str(tmp_path), "--encoder", "s3d:foo", "--weights", "none.pth"]
    assert main(["extract", *line]) != 0
    assert capsys.readouterr().err == "extract: There is no s3d:foo; there are s3d and s3d:unit.\n"


def test_a_file_that_does_not_fit_is_not_kept_and_is_named_as_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tiny_s3d.state(3)
    del state["fc.weight"]
    torch.save(state, "mine.pth")
    line = ["--data", "data", "--videos", str(tmp_path), "--encoder", "s3d", "--weights", "mine.pth"]
    assert main(["extract", *line]) != 0
    says = "extract: mine.pth does not fit s3d: fc.weight is missing.\n"
    assert capsys.readouterr().err == says
    assert not list(all_known())
    register(Path("mine.pth"), About("other.pth"))
    assert main(["extract", *line]) != 0
    assert capsys.readouterr().err == says


# --- how it computes ---------------------------------------------------------------------------------


def test_half_the_bits_are_tried_and_near_enough() -> None:
    calm = {key: each * 0.1 if "gating" in key else each for key, each in tiny_s3d.state(3).items()}
    torch.save(calm, "calm.pth")
    encoder, exact = (loaded(Path("calm.pth"), pace=Pace(name)) for name in ("bf16", "fp32"))
    held = pictures(exact, 60)
    assert encoder.precision.name == "bf16"
    with torch.inference_mode():
        found, expected = encoder.features(held), exact.features(held)
    assert float(torch.cosine_similarity(found, expected).min()) >= 0.999
    assert found.dtype == torch.float32


def test_half_the_bits_are_refused_where_gates_lose_too_much(file: Path) -> None:
    with pytest.raises(EncoderError, match=r"bf16 is not exact enough for s3d: .* 4 runs of pictures is"):
        loaded(file, pace=Pace("bf16"))


def test_no_second_goes_through_it_twice(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = loaded(file)
    sampling = Sampling(clip_seconds=4, stride_seconds=1)
    sizes, rows = passed(encoder, encoder.seconds._video, 9, sampling, monkeypatch)
    assert (sizes, rows) == ([1] * 9, {"frame": 9, "clip": 6})
