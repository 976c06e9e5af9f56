"""`starter-motion`: CLIP2Video's code over a starter's pictures and words, and what it is refused over."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.errors import EncoderError, UsageError
from core.types import Sampling
from extractor.encoders import load, load_again, starter
from extractor.encoders.clip2video import Clip2Video
from extractor.encoders.contract import check, features
from extractor.encoders.tensors import read
from extractor.encoders.weights import hash_of
from tests.training.begun import motion_released, released

FULL = (
    "a clip of a large dotted crimson pentagon going round anticlockwise in the bottom left corner and a "
    "small striped yellow crescent getting smaller on the right, below left of a plain white arrow"
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        return motion_released(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def encoder(shipped: Path) -> Clip2Video:
    return loaded(shipped)


def loaded(folder: Path, **options: Any) -> Clip2Video:
    found = load(f"starter-motion:local-dir:{folder}", **options)
    assert isinstance(found, Clip2Video)
    return found


def copied(shipped: Path, folder: Path) -> Path:
    for name in ("starter", "starter-motion"):
        shutil.copytree(shipped / name, folder / name)
    return folder


def test_it_keeps_the_contract(shipped: Path) -> None:
    check(lambda: loaded(shipped))


def test_by_its_name_alone_it_is_what_ships(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "SHIPPED", shipped)
    found = load("starter-motion")
    spec = found.spec
    assert (spec.name, spec.dim, spec.look.size) == ("starter-motion", 128, 64)
    assert spec.sampling == Sampling(fps=3, clip_seconds=4, stride_seconds=2)
    assert spec.weights == hash_of(shipped / "starter-motion" / "model.safetensors")
    assert dict(spec.options)["starter"] == hash_of(shipped / "starter" / "open_clip_model.safetensors")
    assert torch.equal(load_again(spec).texts(["a red star"]), found.texts(["a red star"]))
    with pytest.raises(EncoderError, match=r"has the weights .*, not those that made the store, 0123"):
        load_again(replace(spec, weights="0123"))
    resized = load("starter-motion", look={"scale": "pillow"}).spec
    assert resized.look.scale == "pillow" and load_again(resized).spec == resized


def test_its_file_is_the_blocks_and_a_text_tower_and_no_picture_tower(shipped: Path) -> None:
    mine = read(shipped / "starter-motion" / "model.safetensors")
    starters = read(shipped / "starter" / "open_clip_model.safetensors")
    assert not [name for name in mine if name.startswith("clip.visual.")]
    towers = {f"clip.{name}" for name in starters if not name.startswith("visual.")}
    assert {name for name in mine if name.startswith("clip.")} == towers
    assert {value.dtype for value in mine.values()} == {torch.float16}


def test_it_reads_as_many_words_as_the_starter(encoder: Clip2Video) -> None:
    assert len(encoder.tokenizer.encode(FULL)) > 30
    assert encoder.too_long([FULL, FULL + FULL, "red", ""]) == [False, True, False, False]
    assert encoder.tokenizer.eot_token_id < 2000
    one, other = encoder.texts([FULL, FULL.removesuffix("arrow") + "star"])
    assert float((one - other).abs().max()) > 1e-3


def test_the_order_of_pictures_counts(encoder: Clip2Video) -> None:
    held = features(encoder, 12)
    forth, back = encoder.clips(held, [np.arange(12), np.arange(11, -1, -1)])
    assert float((forth - back).abs().max()) > 1e-3


def test_over_another_starter_it_is_refused(shipped: Path, tmp_path: Path) -> None:
    folder = copied(shipped, tmp_path / "mixed")
    shutil.rmtree(folder / "starter")
    other = released(folder, seed=1)
    with pytest.raises(EncoderError) as caught:
        loaded(folder)
    hashes = [hash_of(each / "open_clip_model.safetensors") for each in (shipped / "starter", other)]
    assert all(hash in str(caught.value) for hash in hashes) and hashes[0] != hashes[1]
    assert str(caught.value).endswith("take both from the same training.")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nothing", "needs .*model.safetensors, which is not there.$"),
        ("no words", "needs .*bpe.txt.gz, which is not there.$"),
        ("no name", "does not say which starter it was trained on"),
        ("missing", "does not fit starter-motion:.*: weight_center is missing.$"),
        ("cut short", "is no safetensors file, or a damaged one"),
        ("pickle", "is no safetensors file, and so no weights of starter-motion"),
    ],
)
def test_a_file_that_cannot_be_its_own_is_refused(
    shipped: Path, tmp_path: Path, what: str, says: str
) -> None:
    folder = copied(shipped, tmp_path / "changed")
    file = folder / "starter-motion" / "model.safetensors"
    held = {name: each.clone() for name, each in read(file).items()}  # the file is written anew
    about = {"starter": hash_of(folder / "starter" / "open_clip_model.safetensors")}
    match what:
        case "nothing":
            file.unlink()
        case "no words":
            (folder / "starter" / "bpe.txt.gz").unlink()
        case "no name":
            save_file(held, file)
        case "missing":
            save_file({name: each for name, each in held.items() if name != "weight_center"}, file, about)
        case "cut short":
            file.write_bytes(file.read_bytes()[:-100])
        case "pickle":
            torch.save(held, file)
    with pytest.raises(EncoderError, match=says):
        loaded(folder)


def test_it_takes_no_weights_and_no_options_and_no_variant(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"takes no options, but was given random_weights\.$"):
        loaded(shipped, random_weights=1)
    with pytest.raises(UsageError, match=r"load a folder of your own by starter-motion:local-dir:FOLDER\.$"):
        loaded(shipped, weights=tmp_path)
    with pytest.raises(
        EncoderError, match=r"^starter-motion has no variants, but was asked for 'large'; leave "
    ):
        load("starter-motion:large")
