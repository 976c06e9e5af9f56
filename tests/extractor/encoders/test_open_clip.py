"""open_clip's models by name, by file and by seed; and what is said where one cannot be had."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.errors import EncoderError, Error, UsageError
from extractor.encoders import how, load, load_again
from extractor.encoders.contract import check, features, pictures
from extractor.encoders.open_clip import OpenClip, fetch
from extractor.encoders.recipe import CONFIG, recipe_of
from tests.extractor.encoders.models import TINY, add_model, tiny_state

CLIP = {
    "mean": (0.48, 0.46, 0.41),
    "std": (0.27, 0.26, 0.28),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear", "resize_mode": "squash"}


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model `tiny` with two tags that agree on nothing, and a folder of weights of the test's own."""
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    add_model(monkeypatch, tmp_path, "tiny", TINY, {"one": CLIP, "half": HALF | {"quick_gelu": True}})


@pytest.mark.parametrize("variant", ["tiny", "tiny/one", "tiny/half"])
def test_it_keeps_the_contract(variant: str) -> None:
    check(lambda: load(f"open_clip:{variant}", random_weights=3))


def test_a_clip_is_the_unit_mean_of_unit_pictures() -> None:
    encoder = load("open_clip:tiny", random_weights=3)
    held = features(encoder, 3)
    assert torch.allclose(held.norm(dim=-1), torch.ones(3))
    mean = held.double().mean(dim=0)
    found = encoder.clips(held, [torch.arange(3).numpy()])[0].double()
    assert torch.allclose(found, mean / mean.norm(), atol=1e-7)


def test_a_seed_is_part_of_what_the_vectors_are() -> None:
    one, again, other = (load("open_clip:tiny", random_weights=seed) for seed in (1, 1, 2))
    assert one.spec == again.spec and one.spec.weights == "random:1"
    assert one.spec.fingerprint != other.spec.fingerprint
    held = pictures(one, 2)
    assert torch.equal(one.features(held), again.features(held))
    assert not torch.allclose(one.features(held), other.features(held), atol=1e-3)


def test_seeding_it_leaves_everybody_elses_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load("open_clip:tiny", random_weights=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_look_and_the_options_are_the_tags_own() -> None:
    one, half = (
        load("open_clip:tiny/one", random_weights=1).spec,
        load("open_clip:tiny/half", random_weights=1).spec,
    )
    assert (one.look.fit, one.look.resize, one.look.mean) == ("crop", "bicubic", CLIP["mean"])
    assert (half.look.fit, half.look.resize, half.look.std) == ("squash", "bilinear", HALF["std"])
    assert (one.options, half.options) == ((), (("quick_gelu", "true"),))
    assert load("open_clip:tiny", random_weights=1).spec.look.mean == (0.48145466, 0.4578275, 0.40821073)
    assert recipe_of("PE-Core-B-16").look().mean == (0.5, 0.5, 0.5)  # all its tags agree


def test_quick_gelu_changes_the_vectors_as_it_says() -> None:
    one = load("open_clip:tiny/one", random_weights=1)
    half = load("open_clip:tiny/half", random_weights=1)
    assert not torch.allclose(one.texts(["red"]), half.texts(["red"]), atol=1e-4)


def test_a_text_that_is_cut_is_told() -> None:
    encoder = load("open_clip:tiny", random_weights=1)
    assert encoder.too_long(["red " * 14, "red " * 15]) == [False, True]
    assert torch.equal(encoder.texts(["red " * 15]), encoder.texts(["red " * 30]))
    assert bool(torch.isfinite(encoder.texts(["half a pair \ud800"])).all())


# --- weights of a file -------------------------------------------------------------------------------


def saved(path: Path, state: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def test_weights_are_one_encoder_in_whatever_file_they_come(tmp_path: Path) -> None:
    state = tiny_state(4)
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    files = [
        saved(tmp_path / "a.safetensors", state),
        saved(tmp_path / "b.pt", state),
        saved(tmp_path / "c.bin", wrapped),
    ]
    encoders = [load("open_clip:tiny", weights=file) for file in files]
    assert len({encoder.spec for encoder in encoders}) == 1
    assert len(encoders[0].spec.weights) == 32
    random = load("open_clip:tiny", random_weights=4)
    held = pictures(random, 2)
    for encoder in encoders:
        assert torch.equal(encoder.features(held), random.features(held))


def test_a_checkpoint_in_half_precision_is_computed_with_in_float32(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in tiny_state(4).items()}
    single = {name: tensor.float() for name, tensor in half.items()}
    one = load("open_clip:tiny", weights=saved(tmp_path / "half.pt", half))
    two = load("open_clip:tiny", weights=saved(tmp_path / "single.pt", single))
    held = pictures(one, 2)
    assert torch.equal(one.features(held), two.features(held))
    assert one.spec.weights != two.spec.weights


def test_other_tensors_are_another_encoder(tmp_path: Path) -> None:
    state = tiny_state(4)
    one = load("open_clip:tiny", weights=saved(tmp_path / "a.pt", state)).spec
    state["text_projection"][0, 0] += 1
    two = load("open_clip:tiny", weights=saved(tmp_path / "b.pt", state)).spec
    assert one.weights != two.weights and one.fingerprint != two.fingerprint


def changed(what: str) -> dict[str, torch.Tensor]:
    state = tiny_state(4)
    match what:
        case "missing":
            del state["text_projection"]
        case "left over":
            state["text_protection"] = torch.zeros(2)
        case "shape":
            state["visual.proj"] = state["visual.proj"][:, :8].clone()
        case "size":
            state = tiny_state(4, TINY | {"vision_cfg": TINY["vision_cfg"] | {"image_size": 64}})  # type: ignore[operator]
    return state


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing", "text_projection is missing."),
        ("left over", "text_protection is left over."),
        ("shape", "visual.proj is [32, 8], not [32, 16]."),
        ("size", "visual.positional_embedding is [65, 32], not [17, 32]."),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_key(tmp_path: Path, what: str, says: str) -> None:
    file = saved(tmp_path / "wrong.pt", changed(what))
    with pytest.raises(EncoderError) as caught:
        load("open_clip:tiny", weights=file)
    assert str(caught.value) == f"{file} does not fit open_clip:tiny: {says}"


def test_of_many_keys_that_do_not_fit_some_are_named(tmp_path: Path) -> None:
    file = saved(tmp_path / "other.pt", {"a": torch.zeros(1)})
    with pytest.raises(EncoderError, match=r"is missing, .* is missing, .* is missing, and [0-9]+ more"):
        load("open_clip:tiny", weights=file)


class Trap:
    """What would run if it were unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("sprung"),)


def test_what_is_more_than_tensors_is_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path / "trap.pt", {"state_dict": Trap()})
    with pytest.raises(EncoderError, match=r"trap\.pt holds no tensors by name, but state_dict \("):
        load("open_clip:tiny", weights=file)
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.pt", b"This is no checkpoint.", "is no checkpoint: neither safetensors nor"),
        ("x.pt", b"", "is empty."),
        ("x.bin", b"PK\x03\x04" + bytes(100), "is no checkpoint of torch.save, or a damaged one"),
        ("x.safetensors", bytes(8) + b"{", "is no safetensors file, or a damaged one"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Error) as caught:
        load("open_clip:tiny", weights=tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize("held", [[1, 2], {}, {"a": torch.zeros(1), "b": 2}])
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, held: Any) -> None:
    file = saved(tmp_path / "x.pt", held)
    with pytest.raises(EncoderError, match=r"holds no tensors by name|b is no tensor, but int"):
        load("open_clip:tiny", weights=file)


# --- names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ("", "open_clip needs a model and a tag, as in open_clip:PE-Core-B-16/meta; "),
        ("PE-Core-B16/meta", "open_clip has no model 'PE-Core-B16'; PE-Core-B-16, "),
        (
            "ViT-B-32/laion2b_s34b_b79",
            "open_clip has no ViT-B-32/laion2b_s34b_b79; ViT-B-32/laion2b_s34b_b79k, ",
        ),
        ("tiny/nonsense", "open_clip has no tiny/nonsense; "),
        ("hf-hub:model", "open_clip:hf-hub:model must be open_clip:hf-hub:ORG/NAME."),
        ("local-dir:/nowhere", "/nowhere/open_clip_config.json cannot be read: No such file or directory."),
        ("tiny", "open_clip:tiny names no weights; add a tag, open_clip:tiny/TAG, or --weights FILE."),
    ],
)
def test_a_name_that_means_nothing_is_told_with_what_would_be_right(variant: str, says: str) -> None:
    with pytest.raises(EncoderError) as caught:
        load(f"open_clip:{variant}")
    assert says in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("variant", ["ViT-B-16-SigLIP2-256/webli", "roberta-ViT-B-32/laion2b_s12b_b32k"])
def test_a_model_that_needs_transformers_says_what_to_install(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractor.encoders.recipe.find_spec", lambda name: None)
    for act in (load, lambda name: fetch(variant)):
        with pytest.raises(EncoderError) as caught:
            act(f"open_clip:{variant}")
        assert str(caught.value) == (
            f"open_clip:{variant} reads texts with the package transformers, which is not installed: "
            "pip install 'cinedex[multilingual]'."
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"random_weights": 1, "weights": Path("x.pt")},
            "--weights and --random-weights exclude each other.",
        ),
        ({"random_weights": -1}, "--random-weights -1 must be a whole number from 0 on."),
        (
            {"random_weights": 1, "look": {"scale": "nearest"}},
            "scale 'nearest' must be one of torch, pillow, swscale.",
        ),
        ({"weights": Path("nowhere.pt")}, "The weights nowhere.pt do not exist."),
        ({"random_weights": 1, "device": "cuda:77"}, "device 'cuda:77' is not on this machine; "),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("open_clip:tiny", **options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("config", "tag", "says"),
    [
        (
            {"image_size": (32, 64)},
            CLIP,
            "open_clip:odd/x wants pictures of [32, 64]; only square ones are supported.",
        ),
        ({}, CLIP | {"resize_mode": "longest"}, "open_clip:odd/x wants pictures with borders"),
    ],
)
def test_pictures_that_cannot_be_made_are_refused(
    config: Any, tag: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = deepcopy(TINY)
    odd["vision_cfg"] |= config
    add_model(monkeypatch, tmp_path, "odd", odd, {"x": tag})
    with pytest.raises(EncoderError) as caught:
        load("open_clip:odd/x", random_weights=1)
    assert says in str(caught.value)


def test_open_clip_is_not_imported_before_something_is_loaded() -> None:
    code = (
        "import sys, extractor.encoders, extractor.cli, extractor.encoders.recipe, extractor.download\n"
        "from extractor.encoders import load, families\n"
        "families()\n"
        "assert not {'open_clip', 'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "load('toy')\n"
        "assert not {'open_clip', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_a_tokenizer_of_transformers_is_read_from_the_models_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `multilingual` is not installed")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "a", "thing"]
    text = TINY["text_cfg"] | {"hf_tokenizer_name": "bert-base-uncased"}  # type: ignore[operator]
    (tmp_path / CONFIG).write_text(json.dumps({"model_cfg": TINY | {"text_cfg": text}}))
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    encoder = load(f"open_clip:local-dir:{tmp_path}", random_weights=1)
    assert encoder.too_long(["a red thing", "a red " * 7, "a red " * 8]) == [False, False, True]
    assert not torch.equal(encoder.texts(["red"]), encoder.texts(["a"]))
    check(lambda: load(f"open_clip:local-dir:{tmp_path}", random_weights=1))


# --- as a store knows it -----------------------------------------------------------------------------


@pytest.mark.parametrize("look", [{}, {"scale": "pillow"}, {"hdr": "tonemap", "untagged_hd": "709"}])
def test_it_is_recalled_from_what_the_store_says(look: dict[str, str]) -> None:
    made = load("open_clip:tiny/half", random_weights=4, look=look)
    assert made.spec.look.choices == look
    assert load_again(made.spec).spec == made.spec


def test_weights_that_are_not_there_any_more_are_told(tmp_path: Path) -> None:
    spec = load("open_clip:tiny", weights=saved(tmp_path / "a.pt", tiny_state(4))).spec
    with pytest.raises(EncoderError) as caught:
        how(spec)
    assert f"The weights {spec.weights} of open_clip:tiny are not in {tmp_path / 'weights'}" in str(
        caught.value
    )


def test_it_says_by_what_the_model_multiplies_scores(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({**tiny_state(1), "logit_scale": torch.tensor(50.0).log()}, path)
    for scale, options in ((50, {"weights": path}), (1 / 0.07, {"random_weights": 1})):
        encoder = load("open_clip:tiny", **options)
        assert isinstance(encoder, OpenClip)
        assert encoder.logit_scale == pytest.approx(scale)
